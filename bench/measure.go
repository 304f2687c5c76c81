package main

import (
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"runtime"
	"slices"
	"text/tabwriter"
	"time"
)

// section is a group that is opened when its turn has come.
type section struct {
	name string
	open func() group
}

// group is a set of alternatives for the same thing. Ratios are to its first one, or to the one that an
// alternative names.
type group struct {
	alternatives []alternative
	// table prints what is not measured in rounds; there are no alternatives then.
	table func(rounds int)
	close func()
}

type alternative struct {
	name string
	to   string      // what its ratio is to; "": the first alternative
	run  func(n int) // does it n times
}

// sample is one batch of one alternative.
type sample struct {
	ns, allocs, bytes float64 // per run
}

func (g group) run(rounds int, batch time.Duration) {
	if g.close != nil {
		defer g.close()
	}
	if g.table != nil {
		g.table(rounds)
		return
	}
	counts := make([]int, len(g.alternatives))
	for i, a := range g.alternatives {
		counts[i] = calibrate(a.run, batch)
	}
	samples := make([][]sample, len(g.alternatives))
	order := rand.Perm(len(g.alternatives))
	for range rounds {
		rand.Shuffle(len(order), func(i, j int) { order[i], order[j] = order[j], order[i] })
		for _, i := range order {
			samples[i] = append(samples[i], measure(g.alternatives[i].run, counts[i]))
		}
	}
	g.print(samples)
}

// calibrate returns how many runs take about one batch, once everything is warm.
func calibrate(run func(int), batch time.Duration) int {
	for warm := time.Now(); time.Since(warm) < 10*batch; {
		run(64)
	}
	for n := 1; ; n *= 2 {
		start := time.Now()
		run(n)
		if took := time.Since(start); took > batch/2 || n > 1<<28 {
			return max(1, int(float64(n)*float64(batch)/float64(took)))
		}
	}
}

func measure(run func(int), n int) sample {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	start := time.Now()
	run(n)
	took := time.Since(start)
	runtime.ReadMemStats(&after)
	return sample{
		ns:     float64(took.Nanoseconds()) / float64(n),
		allocs: float64(after.Mallocs-before.Mallocs) / float64(n),
		bytes:  float64(after.TotalAlloc-before.TotalAlloc) / float64(n),
	}
}

func (g group) print(samples [][]sample) {
	row, flush := table()
	row("alternative\tns p10\tmedian\tratio\t[p25\tp75]\tallocs\tB\t\n")
	for i, a := range g.alternatives {
		base := 0
		if a.to != "" {
			base = slices.IndexFunc(g.alternatives, func(b alternative) bool { return b.name == a.to })
		}
		var ns, ratios, allocs, bytes []float64
		for r, s := range samples[i] {
			ns, allocs, bytes = append(ns, s.ns), append(allocs, s.allocs), append(bytes, s.bytes)
			ratios = append(ratios, s.ns/samples[base][r].ns)
		}
		row("%s\t%.0f\t%.0f\t%.2f\t%.2f\t%.2f\t%.1f\t%.0f\t\n", a.name,
			quantile(ns, 0.1), quantile(ns, 0.5), quantile(ratios, 0.5), quantile(ratios, 0.25), quantile(ratios, 0.75),
			quantile(allocs, 0.5), quantile(bytes, 0.5))
	}
	flush()
}

// table prints rows whose cells end in a tab.
func table() (row func(format string, a ...any), flush func()) {
	w := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', tabwriter.AlignRight)
	return func(format string, a ...any) { must(fmt.Fprintf(w, format, a...)) }, func() { mustDo(w.Flush()) }
}

func quantile(v []float64, q float64) float64 {
	v = slices.Clone(v)
	slices.Sort(v)
	return v[int(math.Round(q*float64(len(v)-1)))]
}
