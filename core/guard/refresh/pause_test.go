package refresh

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"
)

func TestFailuresBackOff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q, _ := open(t, Options{BackOff: time.Second, BackOffMax: 5 * time.Second})
		fail := Job{Key: "k", Run: func(context.Context) error { return errors.New("down") }}
		for i, seconds := range []int{1, 2, 4, 5, 5} {
			want := time.Duration(seconds) * time.Second
			if got := q.Submit(fail); got != Queued {
				t.Fatalf("failure %d: %v", i, got)
			}
			synctest.Wait()
			<-time.After(want - 1)
			if got := q.Submit(fail); got != BackingOff || q.Allowed("k", time.Now()) {
				t.Errorf("1 ns before the end of pause %d: %v", i, got)
			}
			<-time.After(1)
			if !q.Allowed("k", time.Now()) {
				t.Errorf("not allowed at the end of pause %d", i)
			}
		}
		if !q.Wanted("other") {
			t.Error("another key suffers")
		}
		q.Submit(Job{Key: "k", Run: ok})
		synctest.Wait()
		q.Failed("k")
		if now := time.Now(); q.Allowed("k", now.Add(time.Second-1)) || !q.Allowed("k", now.Add(time.Second)) {
			t.Error("a success does not begin anew")
		}
		q.Succeeded("k")
		if !q.Wanted("k") {
			t.Error("a success elsewhere is not heard")
		}
	})
}

func TestOldFailuresAreForgotten(t *testing.T) {
	p := newPauses(time.Second, time.Minute, 10)
	now := time.Unix(0, 0)
	for range 100 { // and the shift does not overflow
		p.fail("k", now)
	}
	if at := p.keys["k"].Value.(*pause); !at.until.Equal(now.Add(time.Minute)) {
		t.Errorf("the 100th pause ends after %v", at.until.Sub(now))
	}
	now = now.Add(2 * time.Minute)
	p.fail("k", now)
	if p.of("k", now.Add(time.Second)) != nil {
		t.Error("a failure after a quiet time is counted with those before")
	}
}

func TestPausesAreBounded(t *testing.T) {
	q, _ := open(t, Options{})
	for i := range maxPauses + 10 {
		q.Failed(fmt.Sprint(i))
		q.Failed("always") // recent, so that it stays
	}
	if n := len(q.paused.keys); n != maxPauses || q.paused.order.Len() != n {
		t.Errorf("%d keys in a list of %d, want %d", n, q.paused.order.Len(), maxPauses)
	}
	if at := q.paused.keys["always"].Value.(*pause); at.failed != maxPauses+10 {
		t.Errorf("a key that keeps failing was forgotten: it counts %d failures", at.failed)
	}
	if now := time.Now(); !q.Allowed("0", now) || q.Allowed("always", now) || q.Allowed(fmt.Sprint(maxPauses+9), now) {
		t.Error("it is not the oldest that was forgotten")
	}
}

func TestNegativeBackOffIsOff(t *testing.T) {
	q, _ := open(t, Options{BackOff: -1})
	q.Failed("k")
	if !q.Wanted("k") || len(q.paused.keys) != 0 {
		t.Error("the failure is remembered")
	}
}
