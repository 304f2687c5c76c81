package main

import (
	"net/http"
	"net/http/httptest"
	"testing"
)

func TestLoopbackOnly(t *testing.T) {
	h := loopbackOnly(func(http.ResponseWriter, *http.Request) {})
	for client, want := range map[string]int{
		"127.0.0.1:1": http.StatusOK, "127.8.8.8:1": http.StatusOK, "[::1]:1": http.StatusOK, "[::ffff:127.0.0.1]:1": http.StatusOK,
		"192.0.2.1:1": http.StatusForbidden, "[2001:db8::1]:1": http.StatusForbidden, "@": http.StatusForbidden, "": http.StatusForbidden,
	} {
		r, w := httptest.NewRequest(http.MethodGet, "/", http.NoBody), httptest.NewRecorder()
		r.RemoteAddr = client
		r.Header.Set("X-Forwarded-For", "127.0.0.1") // says nothing
		h(w, r)
		if w.Code != want {
			t.Errorf("a client at %q: status %d, want %d", client, w.Code, want)
		}
		if want == http.StatusOK && w.Header().Get("Cache-Control") != "no-store" {
			t.Errorf("a client at %q: a page cache may keep the answer", client)
		}
	}
}
