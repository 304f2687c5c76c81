package processes_test

import (
	"errors"
	"net/http"
	"net/url"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/strata-cache/strata/internal/testserver"
)

// everyDatabase runs test with the flags of an empty database of each kind.
func everyDatabase(t *testing.T, test func(t *testing.T, flags ...string)) {
	t.Run("sqlite", func(t *testing.T) { test(t, "-db", filepath.Join(t.TempDir(), "shop.db")) })
	t.Run("postgres", func(t *testing.T) { test(t, "-postgres", postgres(t)) })
}

const pens, pen = "/category/pens", "/product/1"

// cached says that looks at the path find want, and send no query.
func (s *shop) cached(path, want string) bool {
	s.t.Helper()
	_, before := s.look(path)
	page, after := s.look(path)
	if page != want {
		s.t.Fatalf("%s is %q, want %q", path, page, want)
	}
	return before == after
}

// wantUncached looks a few times: each finds want, and sends a query.
func (s *shop) wantUncached(path, want string) {
	s.t.Helper()
	_, before := s.look(path)
	for range 5 {
		page, after := s.look(path)
		if page != want || after != before+1 {
			s.t.Fatalf("%s is %q after %d queries, want %q and a query each time", path, page, after-before, want)
		}
		before = after
	}
}

func TestAPriceTakesEffectOnCommit(t *testing.T) {
	everyDatabase(t, func(t *testing.T, flags ...string) {
		flags = append(flags, "-redis", testserver.Redis(t).URL())
		a, b := start(t, flags...), start(t, flags...)
		both := func(product, category string) {
			t.Helper()
			for _, s := range []*shop{a, b} {
				soon(t, "the product is cached", func() bool { return s.cached(pen, product) })
				soon(t, "the category is cached", func() bool { return s.cached(pens, category) })
			}
		}
		both("Fountain pen 39.00", "Fountain pen 39.00, Pencil 1.20")

		done := make(chan int, 1)
		go func() {
			status, _ := a.post(pen, url.Values{"price": {"4250"}, "wait": {"yes"}})
			done <- status
		}()
		a.await(regexp.MustCompile(`the transaction is open`))
		soon(t, "b has learned of the hold", func() bool {
			return !b.cached(pen, "Fountain pen 39.00") && !b.cached(pens, "Fountain pen 39.00, Pencil 1.20")
		})
		for _, s := range []*shop{a, b} {
			s.wantUncached(pen, "Fountain pen 39.00") // it is not committed
			s.wantUncached(pens, "Fountain pen 39.00, Pencil 1.20")
		}
		a.mustPost("/commit", nil, http.StatusNoContent)
		if status := <-done; status != http.StatusNoContent {
			t.Fatalf("the edit: %d", status)
		}
		both("Fountain pen 42.50", "Fountain pen 42.50, Pencil 1.20") // from the first look on

		// What the database refuses changes nothing.
		b.mustPost(pen, url.Values{"price": {"-1"}}, http.StatusInternalServerError)
		b.mustPost("/product/9", url.Values{"price": {"1"}}, http.StatusNotFound)
		both("Fountain pen 42.50", "Fountain pen 42.50, Pencil 1.20")
	})
}

func TestACrashAfterTheCommitLeavesNothingStale(t *testing.T) {
	everyDatabase(t, func(t *testing.T, flags ...string) {
		flags = append(flags, "-redis", testserver.Redis(t).URL())
		a, b := start(t, append(flags, "-crash-after-commit")...), start(t, flags...)
		for _, s := range []*shop{a, b} {
			soon(t, "the product is cached", func() bool { return s.cached(pen, "Fountain pen 39.00") })
			soon(t, "the category is cached", func() bool { return s.cached(pens, "Fountain pen 39.00, Pencil 1.20") })
		}
		if status, err := a.post(pen, url.Values{"price": {"4250"}}); err == nil {
			t.Fatalf("it has answered: %d", status)
		}
		<-a.ended
		if code := a.cmd.ProcessState.ExitCode(); code != 3 {
			t.Fatalf("exit status %d", code)
		}
		// Whoever comes now: the other process, and a new one.
		for _, s := range []*shop{b, start(t, flags...)} {
			for path, want := range map[string]string{pen: "Fountain pen 42.50", pens: "Fountain pen 42.50, Pencil 1.20"} {
				soon(t, "it is cached again", func() bool { return s.cached(path, want) }) // and right from the first look on
			}
		}
	})
}

func TestOneProcessNeedsNoRedis(t *testing.T) {
	file := filepath.Join(t.TempDir(), "shop.db")
	s := start(t, "-db", file, "-crash-after-commit")
	if s.look(pen); !s.cached(pen, "Fountain pen 39.00") || !s.cached(pens, "Fountain pen 39.00, Pencil 1.20") {
		t.Error("it is not cached")
	}
	if _, err := s.post(pen, url.Values{"price": {"1"}}); err == nil {
		t.Error("it has not crashed")
	}
	s = start(t, "-db", file)
	if s.look(pen); !s.cached(pen, "Fountain pen 0.01") {
		t.Error("it is not cached")
	}
	s.mustPost(pen, url.Values{"price": {"2"}}, http.StatusNoContent)
	if page, _ := s.look(pens); page != "Fountain pen 0.02, Pencil 1.20" || !s.cached(pen, "Fountain pen 0.02") {
		t.Errorf("%q", page)
	}
	s.mustPost("/commit", nil, http.StatusConflict)
}

func TestUsage(t *testing.T) {
	for want, args := range map[string][]string{
		"-timeout has to be positive":  {"-timeout", "0s"},
		"-postgres is no URL":          {"-postgres", "mysql://secret@127.0.0.1/x"},
		"-redis: ":                     {"-redis", "http://secret@127.0.0.1"},
		"unexpected argument \"more\"": {"more"},
	} {
		cmd := command(t, args...)
		out, err := cmd.CombinedOutput()
		if _, is := errors.AsType[*exec.ExitError](err); !is || cmd.ProcessState.ExitCode() != 2 {
			t.Errorf("%v: %v", args, err)
		}
		if !strings.Contains(string(out), want) || strings.Contains(string(out), "secret") {
			t.Errorf("%v: %s", args, out)
		}
	}
}
