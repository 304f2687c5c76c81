package redisstore

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/strata-cache/strata/core/codec"
	"github.com/strata-cache/strata/core/store"
)

func wakeMessage(result store.LeaseResult, backOff int, name, data string) string {
	return fmt.Sprintf("%d %d %d %s%s", result, backOff, len(name), name, data)
}

func frameOf(t testing.TB, key string, e *store.Entry) string {
	t.Helper()
	f, err := codec.AppendFrame(nil, key, e)
	if err != nil {
		t.Fatal(err)
	}
	return string(f)
}

func TestWakeMessages(t *testing.T) {
	s := &Store{opts: Options{Prefix: "shop:"}}
	const key = "a {b}\n1"
	name := s.name(key)
	frame := frameOf(t, key, &store.Entry{Value: []byte("value")})
	past := frameOf(t, key, &store.Entry{Value: []byte("value"), Times: store.Times{Gone: 1}})
	for what, tt := range map[string]struct {
		message string
		value   string
		want    store.Wake
	}{
		"with a value":        {wakeMessage(store.LeaseStored, 0, name, frame), "value", store.Wake{Key: key, Result: store.LeaseStored}},
		"without a value":     {wakeMessage(store.LeaseStored, 0, name, ""), "", store.Wake{Key: key, Result: store.LeaseStored}},
		"a damaged value":     {wakeMessage(store.LeaseStored, 0, name, frame[:len(frame)-1]), "", store.Wake{Key: key, Result: store.LeaseStored}},
		"a value that ended":  {wakeMessage(store.LeaseStored, 0, name, past), "", store.Wake{Key: key, Result: store.LeaseStored}},
		"another key's value": {wakeMessage(store.LeaseStored, 0, s.name("b"), frame), "", store.Wake{Key: "b", Result: store.LeaseStored}},
		"a counter":           {wakeMessage(store.LeaseStored, 0, name, "12"), "", store.Wake{Key: key, Result: store.LeaseStored}},
		"a back-off":          {wakeMessage(store.LeaseFailed, 250, name, ""), "", store.Wake{Key: key, Result: store.LeaseFailed, BackOff: 250 * time.Millisecond}},
		"the empty key":       {wakeMessage(store.LeaseFree, 0, "shop:", ""), "", store.Wake{Result: store.LeaseFree}},
	} {
		w, ok := s.decodeWake(tt.message)
		value := ""
		if w.Entry != nil {
			value = string(w.Entry.Value)
		}
		w.Entry = nil
		if !ok || w != tt.want || value != tt.value {
			t.Errorf("%s: %+v with %q, %v", what, w, value, ok)
		}
	}
	for what, message := range map[string]string{
		"nothing":          "",
		"held":             wakeMessage(store.LeaseHeld, 0, name, ""),
		"unknown result":   wakeMessage(store.LeaseUncacheable+1, 0, name, ""),
		"negative backoff": wakeMessage(store.LeaseFree, -1, name, ""),
		"long backoff":     "4 99999999999999999 6 shop:k",
		"another prefix":   wakeMessage(store.LeaseFree, 0, "other:k", ""),
		"no key's form":    wakeMessage(store.LeaseFree, 0, "shop:{k}", ""),
		"too long a name":  "4 0 100 shop:k",
		"negative length":  "4 0 -1 shop:k",
	} {
		if w, ok := s.decodeWake(message); ok {
			t.Errorf("%s is read as %+v", what, w)
		}
	}
}

func FuzzWakeMessage(f *testing.F) {
	s := &Store{opts: Options{Prefix: "shop:"}}
	f.Add(wakeMessage(store.LeaseStored, 0, "shop:k", frameOf(f, "k", &store.Entry{Value: []byte("v")})))
	f.Add(wakeMessage(store.LeaseFailed, 100, "shop:%7Bk", ""))
	f.Fuzz(func(t *testing.T, message string) {
		w, ok := s.decodeWake(message)
		if !ok {
			return
		}
		if w.Result == store.LeaseHeld || w.Result > store.LeaseFree || w.BackOff < 0 || !strings.Contains(message, s.name(w.Key)) {
			t.Errorf("%q is read as %+v", message, w)
		}
		if w.Entry != nil && !strings.HasSuffix(message, frameOf(t, w.Key, w.Entry)) {
			t.Errorf("%q: its entry is not what it ends with", message)
		}
	})
}
