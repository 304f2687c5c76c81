package serve

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
)

// Parse parses the command line, which has flags only. Its error, which Is ErrUsage, is one line where
// package flag would print all flags. -h prints them and ends the process.
func Parse(flags *flag.FlagSet, args []string) error {
	flags.SetOutput(io.Discard)
	err := flags.Parse(args)
	switch {
	case errors.Is(err, flag.ErrHelp):
		flags.SetOutput(os.Stdout)
		flags.Usage()
		os.Exit(0)
	case err != nil:
		return Usagef("%w", err)
	case flags.NArg() > 0:
		return Usagef("unexpected argument %q", flags.Arg(0))
	}
	return nil
}

// Usagef returns an error about the command line, formatted as by fmt.Errorf. It Is ErrUsage.
func Usagef(format string, args ...any) error {
	return usage{fmt.Errorf(format, args...)}
}

// usage shows the text of the error alone.
type usage struct{ error }

func (u usage) Unwrap() []error { return []error{ErrUsage, u.error} }
