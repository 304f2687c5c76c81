//go:build unix

package histories_test

import (
	"flag"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/strata-cache/strata/internal/histories"
)

var (
	count = flag.Int("histories", 18, "how many histories; a third as many while connections are cut")
	ops   = flag.Int("ops", 250, "how many operations each has at least")
	seed  = flag.Uint64("seed", 0, "of all that is random; 0: another one each time")
	only  = flag.Int("only", -1, "the one history to play; negative: all")
)

func TestMain(m *testing.M) {
	if process := os.Getenv(childProcess); process != "" {
		os.Exit(child(process))
	}
	goleak.VerifyTestMain(m)
}

// TestHistories: processes load, invalidate and read, and none of them reads what is older than an
// invalidation that it has heard of.
func TestHistories(t *testing.T) { playAll(t, *count, false) }

// TestHistoriesWhileConnectionsAreCut is the same while the processes lose their connections every few
// milliseconds, and the server stops answering now and then.
func TestHistoriesWhileConnectionsAreCut(t *testing.T) { playAll(t, (*count+2)/3, true) }

func playAll(t *testing.T, count int, cut bool) {
	s := *seed
	if s == 0 {
		s = rand.Uint64N(1e9) + 1
	}
	t.Logf("seed %d", s)
	f := newFleet(t)
	var sum summary
	began := time.Now()
	for n := range count {
		if *only >= 0 && n != *only {
			continue
		}
		script := newScript(s, n, *ops, cut)
		h, accounts, err := f.play(t.Context(), script)
		if err != nil {
			t.Fatalf("history %d: %v", n, err)
		}
		report := histories.Check(h)
		sum.add(accounts, report)
		for i, v := range report.Violations {
			if i == 5 {
				t.Errorf("history %d: and %d more", n, len(report.Violations)-i)
				break
			}
			t.Errorf("history %d: %s", n, v)
		}
		failures := unexpected(&script, accounts)
		for _, v := range failures {
			t.Errorf("history %d: %s", n, v)
		}
		if len(report.Violations)+len(failures) > 0 {
			sum.broken++
			t.Logf("again: -seed=%d -only=%d -ops=%d: %+v", s, n, *ops, script)
		}
		if sum.broken == 5 {
			t.Fatal("too many histories are broken to go on")
		}
	}
	t.Logf("%v in %v", &sum, time.Since(began).Round(time.Millisecond))
	if sum.reads == 0 || sum.barriers == 0 || sum.loads == 0 {
		t.Error("nothing was tried")
	}
}

// unexpected are the operations that failed although nothing was in their way. What a broken connection may
// stop is a change; a read is answered by the loader.
func unexpected(s *script, accounts []account) (bad []string) {
	for i, a := range accounts {
		for _, op := range slices.Sorted(maps.Keys(a.Failed)) {
			read := slices.Contains([]string{"Get", "GetMany", "Peek", "pair"}, strings.TrimSuffix(op, foreseen))
			if read && !s.Faults && !s.Hasty || !s.Cut && !strings.HasSuffix(op, foreseen) {
				bad = append(bad, fmt.Sprintf("process %d: %d × %s failed: %s", i, a.Failed[op], op, a.Errs[op]))
			}
		}
	}
	return bad
}

// summary is what a run has come to.
type summary struct {
	histories, broken, violations       int
	ops, reads, barriers, loads, losses int
	refused                             int
	lags                                []time.Duration
	failed                              map[string]int
}

func (s *summary) add(accounts []account, r histories.Report) {
	s.histories++
	if s.failed == nil {
		s.failed = make(map[string]int)
	}
	s.violations += len(r.Violations)
	for _, a := range accounts {
		s.ops += a.Ops
		s.reads += len(a.Reads)
		s.barriers += len(a.Barriers)
		s.loads += a.Loads
		s.refused += a.Refused
		for _, b := range a.Barriers {
			if b.Lost {
				s.losses++
			}
		}
		for op, n := range a.Failed {
			s.failed[op] += n
		}
	}
	s.lags = append(s.lags, r.Lags...)
}

// String says it in one paragraph.
func (s *summary) String() string {
	slices.Sort(s.lags)
	var b strings.Builder
	fmt.Fprintf(&b, "%d histories (%d broken, %d violations): %d operations, %d values read, %d barriers (%d not acknowledged), %d loads, %d not stored",
		s.histories, s.broken, s.violations, s.ops, s.reads, s.barriers, s.losses, s.loads, s.refused)
	if n := len(s.lags); n > 0 {
		late, _ := slices.BinarySearch(s.lags, 1)
		fmt.Fprintf(&b, "; lag over %d pairs of invalidation and process: none in %.2f %%, p99 %v, p99.9 %v, longest %v",
			n, 100*float64(late)/float64(n), s.lags[n*99/100], s.lags[n*999/1000], s.lags[n-1])
	}
	for _, op := range slices.Sorted(maps.Keys(s.failed)) {
		fmt.Fprintf(&b, "; %d× %s failed", s.failed[op], op)
	}
	return b.String()
}
