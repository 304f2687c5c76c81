package cache

import (
	"math"
	"testing"
	"time"
)

func TestJitter(t *testing.T) {
	tests := []struct {
		name          string
		jitter        float64
		ttl, min, max time.Duration
	}{
		{"default", 0, time.Hour, 54 * time.Minute, time.Hour},
		{"half", 0.5, time.Hour, 30 * time.Minute, time.Hour},
		{"all", 1, time.Hour, time.Millisecond, time.Hour},
		{"off", -1, time.Hour, time.Hour, time.Hour},
		{"for ever", 0.5, Forever, Forever, Forever},
		{"short", 1, time.Millisecond, time.Millisecond, time.Millisecond},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			p, err := Policy{Jitter: tt.jitter}.resolve()
			if err != nil {
				t.Fatal(err)
			}
			lo, hi := time.Duration(math.MaxInt64), time.Duration(0)
			for range 2000 {
				d := p.jittered(tt.ttl)
				if d < tt.min || d > tt.max {
					t.Fatalf("%v is not within %v and %v", d, tt.min, tt.max)
				}
				lo, hi = min(lo, d), max(hi, d)
			}
			if spread := tt.max - tt.min; hi-lo < spread*9/10 {
				t.Errorf("only from %v to %v", lo, hi)
			}
		})
	}
}

func TestPolicyOver(t *testing.T) {
	off, err := Policy{Jitter: -1, NegativeTTL: -1, StaleFor: -1, HardTimeout: -1}.resolve()
	if err != nil {
		t.Fatal(err)
	}
	got, err := Policy{}.over(off).resolve()
	if err != nil || got != off {
		t.Errorf("what is off in the cache is on in the kind: %+v", got)
	}
}

func TestStaleFor(t *testing.T) {
	for _, tt := range []struct{ policy, ttl, want time.Duration }{
		{0, time.Minute, time.Minute},
		{0, 5 * time.Hour, time.Hour},
		{0, Forever, 0},
		{-1, time.Minute, 0},
		{time.Second, time.Minute, time.Second},
		{time.Second, Forever, 0},
	} {
		p := Policy{StaleFor: tt.policy}
		if got := p.staleFor(tt.ttl); got != tt.want {
			t.Errorf("StaleFor %v, TTL %v: %v, want %v", tt.policy, tt.ttl, got, tt.want)
		}
	}
}

func TestLifetimeOf(t *testing.T) {
	const now = 1_000_000
	for name, tt := range map[string]struct {
		ttl, refresh, stale              time.Duration
		wantRefresh, wantFresh, wantGone int64
	}{
		"plain":                      {time.Second, 0, 0, 0, now + 1000, now + 1000},
		"stale":                      {time.Second, 0, time.Minute, 0, now + 1000, now + 61000},
		"stale for ever":             {time.Second, 0, Forever, 0, now + 1000, 0},
		"refresh":                    {time.Second, 900 * time.Millisecond, 0, now + 900, now + 1000, now + 1000},
		"refresh not before the TTL": {time.Second, time.Second, 0, 0, now + 1000, now + 1000},
		"negative refresh":           {time.Second, -1, 0, 0, now + 1000, now + 1000},
		"for ever":                   {Forever, time.Minute, 0, now + 60000, 0, 0},
		"less than a millisecond":    {time.Nanosecond, 0, 0, 0, now + 1, now + 1},
		"nearly for ever":            {Forever - 1, 0, Forever - 1, 0, now + int64((Forever-1)/time.Millisecond), now + 2*int64((Forever-1)/time.Millisecond)},
	} {
		got := lifetime(now, tt.ttl, tt.refresh, tt.stale)
		if got.Created != now || got.Refresh != tt.wantRefresh || got.Fresh != tt.wantFresh || got.Gone != tt.wantGone {
			t.Errorf("%s: got %+v", name, got)
		}
	}
}
