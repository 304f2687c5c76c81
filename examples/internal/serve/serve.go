// Package serve is the server around the larger examples: it announces its address, has timeouts, and on
// SIGINT or SIGTERM lets the requests in flight finish.
package serve

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/signal"
	"strconv"
	"syscall"
	"time"
)

// DrainTimeout is how long requests in flight may take after the signal.
const DrainTimeout = 30 * time.Second

// ErrUsage is found by errors.Is in errors about the command line.
var ErrUsage = errors.New("bad usage")

// Run serves h on addr until a signal comes and the requests in flight are answered. A second signal
// ends the process at once. Where addr has port 0 the system chooses one; standard error tells which.
func Run(addr string, h http.Handler, logger *slog.Logger) error {
	if err := checkAddress(addr); err != nil {
		return Usagef("-listen %q: %w", addr, err)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	var lc net.ListenConfig
	l, err := lc.Listen(ctx, "tcp", addr)
	if err != nil {
		return err
	}
	srv := &http.Server{
		Handler:           h,
		ReadHeaderTimeout: 10 * time.Second,
		IdleTimeout:       2 * time.Minute,
		ErrorLog:          slog.NewLogLogger(logger.Handler(), slog.LevelWarn),
	}
	fmt.Fprintf(os.Stderr, "listening on http://%s\n", l.Addr())
	ended := make(chan error, 1)
	go func() { ended <- srv.Serve(l) }()
	select {
	case err := <-ended:
		return err
	case <-ctx.Done():
	}
	stop()
	fmt.Fprintln(os.Stderr, "draining")
	drain, cancel := context.WithTimeout(context.WithoutCancel(ctx), DrainTimeout)
	defer cancel()
	if err := srv.Shutdown(drain); err != nil {
		return fmt.Errorf("after %v: %w", DrainTimeout, err)
	}
	return nil
}

// checkAddress reports whether addr can be listened on, as far as its text tells.
func checkAddress(addr string) error {
	_, port, err := net.SplitHostPort(addr)
	if err != nil {
		return errors.New("it has to be HOST:PORT")
	}
	if _, err := strconv.ParseUint(port, 10, 16); err != nil {
		return errors.New("the port has to be a number up to 65535")
	}
	return nil
}

// Exit ends the process as main does after err: 0 for none, 2 for ErrUsage, 1 for any other. The error is
// one line on standard error.
func Exit(name string, err error) {
	if err == nil {
		os.Exit(0)
	}
	fmt.Fprintf(os.Stderr, "%s: %v\n", name, err)
	if errors.Is(err, ErrUsage) {
		os.Exit(2)
	}
	os.Exit(1)
}
