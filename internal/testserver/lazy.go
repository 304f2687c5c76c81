package testserver

import (
	"sync"
	"testing"
)

// Lazy is a server that the tests of one package share: the first one that asks starts it. The zero
// value is ready for use. TestMain calls Stop after the tests.
type Lazy struct {
	mu  sync.Mutex
	srv *Server
	err error
}

// Redis returns the shared server. Under -short it skips the test. No test may pause, kill or
// restart it, or count on its being empty: each uses names of its own.
func (l *Lazy) Redis(tb testing.TB) *Server {
	tb.Helper()
	need(tb)
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.srv == nil && l.err == nil {
		l.srv, l.err = Start()
	}
	if l.err != nil {
		tb.Fatal(l.err)
	}
	return l.srv
}

// Stop stops the server, if it was started.
func (l *Lazy) Stop() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.srv != nil {
		l.srv.Stop()
		l.srv = nil
	}
}
