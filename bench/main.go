// Command bench prints what the kit costs beside what it is compared with, as ratios within one run.
//
//	go run . [-rounds 60] [-batch 4ms] [-only REGEXP] [-cpuprofile FILE]
//
// Plain benchmarks of alternatives one after the other compare the machine's moods. Here each round runs
// all alternatives of a group in a new order, a batch of each; the figure to read is the median of the
// rounds' own ratios to the first alternative, with its quartiles.
package main

import (
	"errors"
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
	profile := flag.String("cpuprofile", "", "write a CPU profile of the run to this file")
	flag.Parse()
	match, err := regexp.Compile(*only)
	switch {
	case err != nil:
	case flag.NArg() > 0:
		err = fmt.Errorf("unexpected argument %q", flag.Arg(0))
	case *rounds < 1 || *batch <= 0:
		err = errors.New("-rounds and -batch must be positive")
	default:
		err = run(match, *rounds, *batch, *profile)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(2)
	}
}

func run(only *regexp.Regexp, rounds int, batch time.Duration, profile string) error {
	if profile != "" {
		f, err := os.Create(profile)
		if err != nil {
			return err
		}
		if err := pprof.StartCPUProfile(f); err != nil {
			return err
		}
		defer pprof.StopCPUProfile()
	}
	groups := []section{{"object hit, typed, 1,024 keys", objects}}
	for _, size := range []int{1 << 10, 64 << 10} {
		groups = append(groups,
			section{fmt.Sprintf("page hit in process, %d KiB", size>>10), func() group { return pages(size) }},
			section{
				fmt.Sprintf("page hit end to end on loopback, %d KiB (allocations are the server's and the client's)", size>>10),
				func() group { return endToEnd(size) },
			})
	}
	groups = append(groups, fleetSections()...)
	for _, s := range groups {
		if only.MatchString(s.name) {
			fmt.Printf("\n%s\n", s.name)
			s.open().run(rounds, batch)
		}
	}
	return nil
}
