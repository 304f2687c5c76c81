package redisstore_test

import (
	"bytes"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/strata-cache/strata/core/codec"
	"github.com/strata-cache/strata/core/store"
	"github.com/strata-cache/strata/core/store/redisstore"
)

// foreign is what may stand under a key and is no entry of ours. Each is planted under "k".
func foreign(t *testing.T) map[string]func(s space) {
	t.Helper()
	frame, err := codec.AppendFrame(nil, "k", entry("a value"))
	if err != nil {
		t.Fatal(err)
	}
	bytesOf := func(change func(b []byte) []byte) func(space) {
		return func(s space) { s.plant("k", change(bytes.Clone(frame))) }
	}
	text := func(v string) func(space) { return func(s space) { s.plant("k", v) } }
	other, err := codec.AppendFrame(nil, "other", entry("another value"))
	if err != nil {
		t.Fatal(err)
	}
	return map[string]func(space){
		"nothing":             text(""),
		"text":                text("hello"),
		"JSON":                text(`{"id":1}`),
		"a float":             text("1.5"),
		"an integer with +":   text("+1"),
		"a padded integer":    text("007"),
		"an integer too long": text("9223372036854775808"),
		"zeros":               text(strings.Repeat("\x00", 200)),
		"long text":           text(strings.Repeat("x", 200)),
		"half a header":       bytesOf(func(b []byte) []byte { return b[:codec.HeaderSize/2] }),
		"a newer version":     bytesOf(func(b []byte) []byte { b[3] = codec.FrameVersion + 1; return b }),
		"a list": func(s space) {
			if err := s.raw.RPush(s.ctx, s.prefix+"k", "a", "b").Err(); err != nil {
				t.Fatal(err)
			}
		},
		"a truncated frame": bytesOf(func(b []byte) []byte { return b[:len(b)-1] }),
		"a longer frame":    bytesOf(func(b []byte) []byte { return append(b, 0) }),
		"a flipped bit":     bytesOf(func(b []byte) []byte { b[len(b)-1] ^= 4; return b }),
		"a flipped instant": bytesOf(func(b []byte) []byte { b[codec.FreshOffset+7] ^= 4; return b }),
		"another key's":     func(s space) { s.plant("k", other) },
	}
}

// soundHeader are those whose header a script cannot tell from an entry's.
var soundHeader = map[string]bool{
	"a truncated frame": true, "a longer frame": true, "a flipped bit": true, "a flipped instant": true, "another key's": true,
}

func TestForeignBytes(t *testing.T) {
	s := newSpace(t, redisstore.Options{})
	for name, plant := range foreign(t) {
		t.Run(name, func(t *testing.T) {
			again := func() {
				t.Helper()
				if err := s.raw.Del(s.ctx, s.prefix+"k").Err(); err != nil {
					t.Fatal(err)
				}
				plant(s)
			}
			again()
			if e, err := s.Get(s.ctx, "k"); e != nil || !errors.Is(err, store.ErrCorrupt) || !strings.HasPrefix(err.Error(), "redisstore: ") {
				t.Errorf("Get = %+v, %v, want store.ErrCorrupt", e, err)
			}
			s.set("sound", entry("v"))
			got, err := s.GetMany(s.ctx, []string{"sound", "k", "nothing"})
			if len(got) != 3 || got[0] == nil || got[1] != nil || got[2] != nil {
				t.Errorf("GetMany = %v", got)
			}
			if errors.Is(err, store.ErrCorrupt) == (name == "a list") { // MGET does not tell a list from nothing
				t.Errorf("GetMany: %v", err)
			}
			if ok, err := s.Touch(s.ctx, "k", entry("a value"), lifetime(1)); ok || err != nil {
				t.Errorf("Touch = %v, %v", ok, err)
			}
			if !soundHeader[name] {
				if n, err := s.Incr(s.ctx, "k", 1, nil); !errors.Is(err, store.ErrMiss) {
					t.Errorf("Incr = %d, %v, want store.ErrMiss", n, err)
				}
				if n, err := s.Incr(s.ctx, "k", 1, counter("0", lifetime(time.Hour))); n != 1 || err != nil {
					t.Errorf("Incr that may create = %d, %v", n, err)
				}
				again()
				if n, err := s.Delete(s.ctx, "k"); n != 0 || err != nil {
					t.Errorf("Delete = %d, %v, want 0", n, err)
				}
				again()
				if ok, err := s.Add(s.ctx, "k", entry("added")); !ok || err != nil {
					t.Errorf("Add = %v, %v", ok, err)
				}
				s.want("k", "added")
				again()
			}
			if _, err := s.Delete(s.ctx, "k"); err != nil {
				t.Errorf("Delete: %v", err)
			}
			if _, err := s.Get(s.ctx, "k"); !errors.Is(err, store.ErrMiss) {
				t.Errorf("Get after Delete: %v", err)
			}
			again()
			s.set("k", entry("new"))
			s.want("k", "new")
			again()
			if failed, err := s.SetMany(s.ctx, []store.Item{{Key: "k", Entry: entry("newer")}}); len(failed) != 0 || err != nil {
				t.Errorf("SetMany: %v, %v", failed, err)
			}
			s.want("k", "newer")
			again()
			if err := s.Clear(s.ctx, ""); err != nil {
				t.Errorf("Clear: %v", err)
			}
			if _, err := s.Get(s.ctx, "k"); !errors.Is(err, store.ErrMiss) {
				t.Errorf("Get after Clear: %v", err)
			}
		})
	}
}
