package main

import (
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/strata-cache/strata/core/cache"
	"github.com/strata-cache/strata/core/guard/refresh"
)

// site serves /product/{id}.
type site struct {
	products *products
	queue    *refresh.Queue
	soft     time.Duration
}

func (s *site) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	text, is := strings.CutPrefix(r.URL.Path, "/product/")
	id, err := strconv.ParseInt(text, 10, 64)
	if !is || err != nil {
		http.NotFound(w, r)
		return
	}
	p, err := s.products.kind.Get(r.Context(), id)
	switch {
	case errors.Is(err, cache.ErrNotFound):
		http.NotFound(w, r)
		return
	case err != nil:
		http.Error(w, "the product cannot be loaded", http.StatusServiceUnavailable)
		return
	}
	age := time.Since(p.Made)
	if age >= s.soft {
		s.renew(id)
	}
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	fmt.Fprintf(w, "Product %d costs %d.%02d, says process %d, %v ago\n",
		p.ID, p.Price/100, p.Price%100, p.Maker, age.Round(time.Millisecond))
}

// renew has a worker make the product anew, behind this answer. Most calls find that this is being done.
func (s *site) renew(id int64) {
	arg := strconv.FormatInt(id, 10)
	key := refresher + ":" + arg
	if !s.queue.Wanted(key) {
		return
	}
	s.queue.Submit(refresh.Job{Key: key, Name: refresher, Arg: arg})
}
