package main

import (
	"bytes"
	_ "embed"
	"fmt"
	"html/template"
	"net/http"
	"time"

	"github.com/strata-cache/strata/core/event"
	"github.com/strata-cache/strata/stats"
)

//go:embed pages.html
var pagesHTML string

var templates = template.Must(template.New("").Parse(pagesHTML))

// view is what the templates show.
type view struct {
	Title    string
	Nav      template.HTML
	Products []product
	Product  product
	Reviews  template.HTML
	Total    string
	Message  string
	Note     string
}

// render writes a page, or an error: never half a page.
func (s *site) render(w http.ResponseWriter, r *http.Request, status int, name string, v view) {
	var err error
	if v.Nav, err = s.fragments.nav(r.Context(), &s.objects); err != nil {
		s.log.WarnContext(r.Context(), "a page without navigation", "error", err)
		v.Nav = ""
		w.Header().Set("Cache-Control", "no-store")
	}
	v.Note = note(r)
	var page bytes.Buffer
	if err := templates.ExecuteTemplate(&page, name, v); err != nil {
		s.fail(w, r, err)
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.WriteHeader(status)
	_, _ = page.WriteTo(w) // an error means that the client has left
}

// note says when and of what a page was rendered. It is part of the page, and as old as the page when
// that comes from the cache; what each answer cost stands in its Server-Timing header.
func note(r *http.Request) string {
	var hits, misses [3]int
	for _, step := range stats.FromContext(r.Context()).Steps() {
		switch {
		case step.Event != stats.EventCall || step.Op != event.OpGet || int(step.Layer) >= len(hits):
		case step.Hits > 0 || step.Misses > 0:
			hits[step.Layer] += step.Hits
			misses[step.Layer] += step.Misses
		case step.Outcome == event.OutcomeHit || step.Outcome == event.OutcomeNegative || step.Outcome == event.OutcomeStale:
			hits[step.Layer]++
		default:
			misses[step.Layer]++
		}
	}
	return fmt.Sprintf("Rendered at %s. Fragments: %d cached, %d made. Objects: %d cached, %d loaded.",
		time.Now().Format(time.TimeOnly), hits[event.LayerFragment], misses[event.LayerFragment],
		hits[event.LayerObject], misses[event.LayerObject])
}
