package fragment_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/strata-cache/strata/core/cache"
	"github.com/strata-cache/strata/core/event"
	"github.com/strata-cache/strata/core/store/memstore"
	"github.com/strata-cache/strata/fragment"
)

func open(t testing.TB, o cache.Options) *cache.Cache {
	t.Helper()
	st, err := memstore.New(memstore.Options{})
	if err != nil {
		t.Fatal(err)
	}
	c, err := cache.New(st, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	})
	return c
}

// renderer counts its runs and writes their number.
type renderer struct {
	runs atomic.Int64
	err  error
}

func (r *renderer) render(_ context.Context, w io.Writer) error {
	n := r.runs.Add(1)
	if _, err := fmt.Fprintf(w, "run %d", n); err != nil {
		return err
	}
	return r.err
}

func write(t testing.TB, f *fragment.Fragments, key string, ttl time.Duration, r *renderer) (string, error) {
	t.Helper()
	var b strings.Builder
	err := f.Write(t.Context(), &b, key, ttl, r.render)
	return b.String(), err
}

func TestWrite(t *testing.T) {
	for _, c := range []struct {
		name string
		ttl  time.Duration
		want []string
	}{
		{"a TTL", time.Minute, []string{"run 1", "run 1"}},
		{"the policy's TTL", 0, []string{"run 1", "run 1"}},
		{"for ever", cache.Forever, []string{"run 1", "run 1"}},
		{"not cached", -1, []string{"run 1", "run 2"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			f, r := fragment.New(open(t, cache.Options{})), &renderer{}
			for i, want := range c.want {
				if got, err := write(t, f, "k", c.ttl, r); got != want || err != nil {
					t.Errorf("call %d: %q, %v, want %q", i, got, err, want)
				}
			}
			if got, _ := write(t, f, "other", time.Minute, &renderer{}); got != "run 1" {
				t.Errorf("another key: %q", got)
			}
		})
	}
}

func TestAFragmentExpires(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		st, err := memstore.New(memstore.Options{})
		if err != nil {
			t.Fatal(err)
		}
		c, err := cache.New(st, cache.Options{})
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		f, r := fragment.New(c), &renderer{}
		for _, step := range []struct {
			wait time.Duration
			want string
		}{{0, "run 1"}, {50 * time.Second, "run 1"}, {11 * time.Second, "run 2"}} {
			<-time.After(step.wait)
			if got, err := write(t, f, "k", time.Minute, r); got != step.want || err != nil {
				t.Errorf("after %v more: %q, %v, want %q", step.wait, got, err, step.want)
			}
		}
		r.err = errors.New("the database is gone")
		<-time.After(61 * time.Second)
		if got, err := write(t, f, "k", time.Minute, r); got != "run 2" || err != nil {
			t.Errorf("a failing renderer, with an older fragment there: %q, %v", got, err)
		}
	})
}

func TestAFailureWritesAndStoresNothing(t *testing.T) {
	f := fragment.New(open(t, cache.Options{}))
	r := &renderer{err: errors.New("no such product")}
	if got, err := write(t, f, "k", time.Minute, r); got != "" || err != r.err {
		t.Errorf("%q, %v", got, err)
	}
	var b strings.Builder
	err := f.Write(t.Context(), &b, "k", time.Minute, func(_ context.Context, w io.Writer) error {
		_, _ = io.WriteString(w, "half")
		panic("template")
	})
	var panicked *cache.PanicError
	if !errors.As(err, &panicked) || b.Len() > 0 {
		t.Errorf("a panic: %q, %v", b.String(), err)
	}
	r.err = nil
	if got, err := write(t, f, "k", time.Minute, r); got != "run 2" || err != nil {
		t.Errorf("then %q, %v", got, err)
	}
}

func TestAnEmptyFragmentIsStored(t *testing.T) {
	f, runs := fragment.New(open(t, cache.Options{})), 0
	for range 2 {
		err := f.Write(t.Context(), io.Discard, "k", time.Minute, func(context.Context, io.Writer) error {
			runs++
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	if runs != 1 {
		t.Errorf("rendered %d times", runs)
	}
}

func TestOneRunForManyCallers(t *testing.T) {
	f := fragment.New(open(t, cache.Options{}))
	var runs atomic.Int64
	var wg sync.WaitGroup
	gate := make(chan struct{})
	for range 100 {
		wg.Go(func() {
			<-gate
			var b bytes.Buffer
			err := f.Write(t.Context(), &b, "k", time.Minute, func(_ context.Context, w io.Writer) error {
				runs.Add(1)
				_, err := io.WriteString(w, "body")
				return err
			})
			if err != nil || b.String() != "body" {
				t.Errorf("%q, %v", b.String(), err)
			}
		})
	}
	close(gate)
	wg.Wait()
	if runs.Load() != 1 {
		t.Errorf("rendered %d times", runs.Load())
	}
}

func TestNestedFragments(t *testing.T) {
	f := fragment.New(open(t, cache.Options{}))
	var page func(depth int) func(context.Context, io.Writer) error
	page = func(depth int) func(context.Context, io.Writer) error {
		return func(ctx context.Context, w io.Writer) error {
			_, _ = io.WriteString(w, "(")
			defer io.WriteString(w, ")")
			if depth == 0 {
				return nil
			}
			// The same key inside of itself does not wait for itself.
			key := []string{"a", "b"}[depth%2]
			return f.Write(ctx, w, key, time.Minute, page(depth-1))
		}
	}
	var b strings.Builder
	if err := f.Write(t.Context(), &b, "a", time.Minute, page(4)); err != nil || !strings.HasPrefix(b.String(), "((") {
		t.Errorf("%q, %v", b.String(), err)
	}
}

func TestDeleteAndClear(t *testing.T) {
	f, r := fragment.New(open(t, cache.Options{})), &renderer{}
	_, _ = write(t, f, "k", time.Minute, r)
	if n, err := f.Delete(t.Context(), "k", "nothing"); n != 1 || err != nil {
		t.Errorf("Delete: %d, %v", n, err)
	}
	if got, _ := write(t, f, "k", time.Minute, r); got != "run 2" {
		t.Errorf("after Delete: %q", got)
	}
	if err := f.Clear(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got, _ := write(t, f, "k", time.Minute, r); got != "run 3" {
		t.Errorf("after Clear: %q", got)
	}
}

func TestNew(t *testing.T) {
	c := open(t, cache.Options{})
	if first, second := fragment.New(c), fragment.New(c); first != second {
		t.Error("one cache has two sets of fragments")
	}
	r := &renderer{}
	_, _ = write(t, fragment.New(c), "k", time.Minute, r)
	if got, _ := write(t, fragment.New(c.WithVersion(2)), "k", time.Minute, r); got != "run 2" {
		t.Errorf("another version of the cache has the same fragments: %q", got)
	}
	if _, err := write(t, fragment.New(nil), "k", time.Minute, r); err == nil {
		t.Error("a nil cache is no error")
	}
	if err := fragment.New(c).Write(t.Context(), io.Discard, "new", time.Minute, nil); err == nil || strings.Contains(err.Error(), "panic") {
		t.Errorf("nothing that renders: %v", err)
	}
	taken := open(t, cache.Options{})
	if _, err := cache.NewKind(taken, "fragment", cache.KindOptions[int, int]{}); err != nil {
		t.Fatal(err)
	}
	if _, err := write(t, fragment.New(taken), "k", time.Minute, r); err == nil {
		t.Error("a region that is taken is no error")
	}
}

func TestFragmentsAreALayerOfTheirOwn(t *testing.T) {
	var calls []event.Call
	c := open(t, cache.Options{Observer: &event.Observer{Call: func(_ context.Context, e event.Call) { calls = append(calls, e) }}})
	f, r := fragment.New(c), &renderer{}
	for range 2 {
		_, _ = write(t, f, "k", time.Minute, r)
	}
	if len(calls) != 2 || calls[0].Layer != event.LayerFragment || calls[0].Outcome != event.OutcomeMiss || calls[1].Outcome != event.OutcomeHit {
		t.Errorf("events %+v", calls)
	}
}

func TestAHitAllocatesOnce(t *testing.T) {
	f := fragment.New(open(t, cache.Options{}))
	body := bytes.Repeat([]byte("x"), 64<<10)
	render := func(_ context.Context, w io.Writer) error {
		_, err := w.Write(body)
		return err
	}
	hit := func() {
		if err := f.Write(t.Context(), io.Discard, "k", time.Minute, render); err != nil {
			t.Fatal(err)
		}
	}
	hit()
	if n := testing.AllocsPerRun(200, hit); n > 1 {
		t.Errorf("%v allocations a hit", n)
	}
}

func ExampleFragments_Write() {
	st, err := memstore.New(memstore.Options{})
	if err != nil {
		panic(err)
	}
	c := cache.Must(cache.New(st, cache.Options{}))
	defer c.Close()
	frags := fragment.New(c)
	for range 2 {
		err := frags.Write(context.Background(), os.Stdout, "greeting:en", time.Minute, func(_ context.Context, w io.Writer) error {
			fmt.Println("rendering")
			_, err := fmt.Fprintln(w, "<p>Hello</p>")
			return err
		})
		if err != nil {
			panic(err)
		}
	}
	// Output:
	// rendering
	// <p>Hello</p>
	// <p>Hello</p>
}
