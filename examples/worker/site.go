package main

import (
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/strata-cache/strata/core/cache"
)

// site serves /product/{id}.
type site struct{ products products }

func (s site) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	text, is := strings.CutPrefix(r.URL.Path, "/product/")
	id, err := strconv.ParseInt(text, 10, 64)
	if !is || err != nil {
		http.NotFound(w, r)
		return
	}
	p, err := s.products.Get(r.Context(), id)
	switch {
	case errors.Is(err, cache.ErrNotFound):
		http.NotFound(w, r)
		return
	case err != nil:
		http.Error(w, "the product cannot be loaded", http.StatusServiceUnavailable)
		return
	}
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	_, _ = fmt.Fprintf(w, "Product %d costs %d.%02d, says process %d, %v ago\n",
		p.ID, p.Price/100, p.Price%100, p.Maker, time.Since(p.Made).Round(time.Millisecond))
}
