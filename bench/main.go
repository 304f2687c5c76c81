// Command bench prints what the kit costs beside what it is compared with, as ratios within one run.
//
//	go run . [-rounds 60] [-batch 4ms] [-only regexp]
//
// Plain benchmarks of alternatives one after the other compare the machine's moods. Here each round runs
// all alternatives of a group in a new order, a batch of each; the figure to read is the median of the
// rounds' own ratios to the first alternative, with its quartiles.
package main

import (
	"flag"
	"fmt"
	"os"
	"regexp"
	"runtime/pprof"
	"time"
)

func main() {
	rounds := flag.Int("rounds", 60, "rounds of each group")
	batch := flag.Duration("batch", 4*time.Millisecond, "time of one alternative in one round")
	only := flag.String("only", "", "run the groups whose names match this regular expression")
	prof := flag.String("cpuprofile", "", "write a profile of the run to this file")
	flag.Parse()
	if *prof != "" {
		f := must(os.Create(*prof))
		mustDo(pprof.StartCPUProfile(f))
		defer pprof.StopCPUProfile()
	}
	match, err := regexp.Compile(*only)
	if err != nil || flag.NArg() > 0 || *rounds < 1 || *batch <= 0 {
		fmt.Fprintln(os.Stderr, "bench: -rounds and -batch must be positive, -only a regular expression, and nothing else may follow")
		os.Exit(2)
	}
	for _, g := range groups() {
		if match.MatchString(g.name) {
			g.run(*rounds, *batch)
		}
	}
}

func groups() []group {
	var all []group
	all = append(all, objects())
	for _, size := range []int{1 << 10, 64 << 10} {
		all = append(all, pages(size), endToEnd(size))
	}
	return all
}
