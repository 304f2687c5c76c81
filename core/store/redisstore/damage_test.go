package redisstore_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/strata-cache/strata/core/store"
	"github.com/strata-cache/strata/core/store/redisstore"
)

// damages are what a value may have become.
var damages = map[string]func(frame string) string{
	"nothing left":      func(string) string { return "" },
	"foreign":           func(string) string { return "junk" },
	"too many digits":   func(string) string { return strings.Repeat("9", 30) },
	"cut in its body":   func(f string) string { return f[:len(f)-1] },
	"flipped":           func(f string) string { return f[:len(f)-1] + string(f[len(f)-1]^1) },
	"flags":             func(f string) string { return f[:4] + "\xff" + f[5:] },
	"newer":             func(f string) string { return f[:3] + "\x02" + f[4:] },
	"cut in its header": func(f string) string { return f[:50] },
}

func TestDamageIsAMissToAddAndIncr(t *testing.T) {
	s := newSpace(t, redisstore.Options{})
	for name, damage := range damages {
		t.Run(name, func(t *testing.T) {
			spoil := func(key string) {
				t.Helper()
				s.set(key, entry("value"))
				frame, err := s.raw.Get(s.ctx, s.prefix+key).Result()
				if err != nil {
					t.Fatal(err)
				}
				if err := s.raw.Set(s.ctx, s.prefix+key, damage(frame), 0).Err(); err != nil {
					t.Fatal(err)
				}
			}
			spoil("added")
			if ok, err := s.Add(s.ctx, "added", entry("new")); !ok || err != nil {
				t.Errorf("Add = %v, %v", ok, err)
			}
			s.want("added", "new")
			if ok, err := s.Add(s.ctx, "added", entry("second")); ok || err != nil {
				t.Errorf("a second Add = %v, %v", ok, err)
			}
			spoil("counted")
			if _, err := s.Incr(s.ctx, "counted", 1, nil); !errors.Is(err, store.ErrMiss) {
				t.Errorf("Incr without create: %v", err)
			}
			if n, err := s.Incr(s.ctx, "counted", 2, counter("40", lifetime(time.Hour))); n != 42 || err != nil {
				t.Errorf("Incr = %d, %v", n, err)
			}
			s.want("counted", "42")
		})
	}
}

func TestIncrReplacesAnotherType(t *testing.T) {
	s := newSpace(t, redisstore.Options{})
	if err := s.raw.RPush(s.ctx, s.prefix+"list", "a").Err(); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Incr(s.ctx, "list", 1, nil); !errors.Is(err, store.ErrMiss) {
		t.Errorf("Incr without create: %v", err)
	}
	if n, err := s.Incr(s.ctx, "list", 1, counter("0", store.Times{})); n != 1 || err != nil {
		t.Errorf("Incr = %d, %v", n, err)
	}
	s.set("entry", entry("value"))
	if _, err := s.Incr(s.ctx, "entry", 1, counter("0", store.Times{})); !errors.Is(err, store.ErrNotInteger) {
		t.Errorf("Incr of a value: %v", err)
	}
	s.want("entry", "value")
}
