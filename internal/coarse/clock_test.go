package coarse

import (
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// pass lets d pass in a synctest bubble.
func pass(d time.Duration) {
	<-time.After(d)
	synctest.Wait()
}

// bubble runs test with a clock of its own, which is closed afterwards.
func bubble(t *testing.T, test func(t *testing.T, c *Clock)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		c := New()
		defer c.Close()
		test(t, c)
	})
}

func lag(c *Clock) time.Duration {
	n := c.Now()
	return time.Duration(time.Now().UnixMilli()-n) * time.Millisecond
}

func TestResolution(t *testing.T) {
	bubble(t, func(t *testing.T, c *Clock) {
		if l := lag(c); l != 0 {
			t.Errorf("the first reading is %v behind", l)
		}
		worst := time.Duration(0)
		for range 3000 {
			pass(time.Millisecond)
			l := lag(c)
			if l < 0 || l > Resolution {
				t.Fatalf("%v behind, want 0 to %v", l, Resolution)
			}
			worst = max(worst, l)
		}
		if worst < Resolution/2 {
			t.Errorf("never more than %v behind: time.Now is called more often than it has to be", worst)
		}
	})
}

func TestStopsWhenIdle(t *testing.T) {
	bubble(t, func(t *testing.T, c *Clock) {
		if c.Running() {
			t.Error("runs before it is read")
		}
		c.Now()
		if !c.Running() {
			t.Error("does not run when it has been read")
		}
		pass(idleTicks * Resolution)
		if !c.Running() {
			t.Errorf("has stopped within %v", idleTicks*Resolution)
		}
		pass(2 * Resolution)
		if c.Running() {
			t.Errorf("still runs after %v", (idleTicks+2)*Resolution)
		}
	})
}

func TestRunsWhileItIsRead(t *testing.T) {
	bubble(t, func(t *testing.T, c *Clock) {
		for range 100 {
			c.Now()
			pass(idleTicks * Resolution)
			if !c.Running() {
				t.Fatal("has stopped between two readings")
			}
		}
	})
}

// TestReadersThatCollide plays what happens to a reader whose look at the clock was overtaken.
func TestReadersThatCollide(t *testing.T) {
	bubble(t, func(t *testing.T, c *Clock) {
		want := c.Now()
		pass(3 * time.Millisecond)
		if got := c.start(); got != want {
			t.Errorf("a reader whom another one overtook at the start reads %d, the other one %d", got, want)
		}
		if c.sleep() {
			t.Error("stops though it has been read since the last tick")
		}
	})
}

func TestCloseAtATick(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for range 200 {
			c := New()
			c.Now()
			<-time.After(Resolution) // and no synctest.Wait: the tick and Close compete
			c.Close()
			synctest.Wait()
			if c.Running() {
				t.Fatal("has ticked after Close, and will never again")
			}
		}
	})
}

func TestRestartsWithTheRightTime(t *testing.T) {
	for _, pause := range []time.Duration{0, time.Millisecond, Resolution, idleTicks * Resolution,
		(idleTicks + 1) * Resolution, (idleTicks+1)*Resolution + time.Millisecond, 3 * time.Second, 1000 * time.Hour} {
		t.Run(pause.String(), func(t *testing.T) {
			bubble(t, func(t *testing.T, c *Clock) {
				for range 3 {
					c.Now()
					pass(pause)
					stopped := !c.Running()
					if l := lag(c); l < 0 || l > Resolution || stopped && l != 0 {
						t.Errorf("%v behind after a pause, stopped: %v", l, stopped)
					}
					if !c.Running() {
						t.Error("does not run again")
					}
					pass(23 * time.Millisecond)
					if l := lag(c); l < 0 || l > Resolution {
						t.Errorf("%v behind after the restart", l)
					}
				}
			})
		})
	}
}

func TestAfterALateTick(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var c Clock // whose goroutine is not scheduled at all
		c.tick()
		pass(170 * time.Millisecond)
		if l := lag(&c); l != 170*time.Millisecond {
			t.Fatalf("%v behind without a tick", l)
		}
		c.tick()
		if l := lag(&c); l != 0 {
			t.Errorf("%v behind after the late tick", l)
		}
	})
}

func TestQuietlyDoesNotStart(t *testing.T) {
	bubble(t, func(t *testing.T, c *Clock) {
		c.Quietly(func() {
			for range 10 {
				if l := lag(c); l != 0 {
					t.Errorf("%v behind", l)
				}
				pass(time.Millisecond)
			}
			c.Quietly(func() { c.Now() })
			c.Now()
			if c.Running() {
				t.Error("started")
			}
		})
		c.Now()
		if !c.Running() {
			t.Error("not started afterwards")
		}
		c.Quietly(func() {
			if !c.Running() {
				t.Error("stopped")
			}
		})
		pass(2 * idleTicks * Resolution)
		func() {
			defer func() { _ = recover() }()
			c.Quietly(func() { panic("f has failed") })
		}()
		c.Now()
		if !c.Running() {
			t.Error("not started after a panic")
		}
	})
}

func TestClose(t *testing.T) {
	tests := []struct {
		name   string
		before func(c *Clock)
	}{
		{"never read", func(*Clock) {}},
		{"running", func(c *Clock) { c.Now() }},
		{"asleep", func(c *Clock) { c.Now(); pass(2 * idleTicks * Resolution) }},
		{"restarted", func(c *Clock) { c.Now(); pass(2 * idleTicks * Resolution); c.Now() }},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			bubble(t, func(t *testing.T, c *Clock) {
				tt.before(c)
				var wg sync.WaitGroup
				for range 4 {
					wg.Go(c.Close)
				}
				wg.Wait()
				c.Close()
				for range 3 {
					pass(37 * time.Millisecond)
					if l := lag(c); l != 0 {
						t.Errorf("%v behind after Close", l)
					}
				}
				if c.Running() {
					t.Error("runs after Close")
				}
			})
		})
	}
}

// TestConcurrentUse is for the race detector, and for readings that fall behind an earlier one.
func TestConcurrentUse(t *testing.T) {
	for range 50 {
		c := New()
		var wg sync.WaitGroup
		for g := range 4 {
			wg.Go(func() {
				last := int64(0)
				for i := range 200 {
					read := func() {
						n := c.Now()
						if n < last {
							t.Errorf("%d after %d", n, last)
						}
						last = n
					}
					switch {
					case g == 0 && i%2 == 0:
						c.Quietly(read)
					case g == 1 && i == 150:
						c.Close()
					default:
						read()
					}
				}
			})
		}
		wg.Wait()
		c.Close()
	}
}

func BenchmarkNow(b *testing.B) {
	b.Run("coarse", func(b *testing.B) {
		c := New()
		defer c.Close()
		for b.Loop() {
			c.Now()
		}
	})
	b.Run("time.Now", func(b *testing.B) {
		for b.Loop() {
			time.Now().UnixMilli()
		}
	})
}
