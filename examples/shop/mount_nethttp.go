package main

import (
	"net/http"

	"github.com/strata-cache/strata/nethttpmw"
	"github.com/strata-cache/strata/stats"
)

func mountNetHTTP(s *site) http.Handler {
	mux := http.NewServeMux()
	for _, r := range s.routes() {
		var h http.Handler = r.handle
		if r.ttl != 0 {
			h = nethttpmw.Page(s.pages, r.ttl, h)
		}
		if r.path == "/" {
			r.path = "/{$}"
		}
		mux.Handle(r.method+" "+r.path, h)
	}
	return nethttpmw.Monitor(stats.MonitorOptions{Logger: s.log})(nethttpmw.Cache(s.pages)(mux))
}
