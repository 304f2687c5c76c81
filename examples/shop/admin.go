package main

import (
	"cmp"
	"encoding/json"
	"errors"
	"math"
	"net/http"
	"net/netip"
	"strconv"
)

const maxForm = 4 << 10 // bytes

// loopbackOnly keeps a handler to clients on this machine. A proxy on this machine is one, whoever it
// speaks for: do not put these routes behind one.
func loopbackOnly(h http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		client, err := netip.ParseAddrPort(r.RemoteAddr)
		if err != nil || !client.Addr().Unmap().IsLoopback() {
			http.Error(w, http.StatusText(http.StatusForbidden), http.StatusForbidden)
			return
		}
		// The page cache must not answer in the place of this check.
		w.Header().Set("Cache-Control", "no-store")
		h(w, r)
	}
}

// setPrice changes a product. The order matters: what is removed from the cache before the source has
// changed may be loaded again as it was.
func (s *site) setPrice(w http.ResponseWriter, r *http.Request) {
	r.Body = http.MaxBytesReader(w, r.Body, maxForm)
	id, err := strconv.Atoi(r.PostFormValue("id"))
	euros, priceErr := strconv.ParseFloat(r.PostFormValue("price"), 64)
	if err != nil || priceErr != nil || !(euros >= 0 && euros < 1e6) {
		http.Error(w, "Which price, of which product?", http.StatusBadRequest)
		return
	}
	ctx := r.Context()
	p, err := s.source.SetPrice(ctx, id, int(math.Round(euros*100)))
	switch {
	case errors.Is(err, errNoRow):
		http.Error(w, "No such product.", http.StatusNotFound)
		return
	case err != nil:
		s.fail(w, r, err)
		return
	}
	path := "/p/" + strconv.Itoa(id)
	_, failed := s.products.Delete(ctx, id)
	for _, shows := range []string{path, "/c/" + p.Category, "/"} {
		failed = cmp.Or(failed, s.purge(r, shows))
	}
	if failed != nil {
		// The price is saved. Where the store cannot be reached the old one lives on until its TTL ends.
		s.log.ErrorContext(ctx, "the old price may still be cached", "product", id, "error", failed)
	}
	http.Redirect(w, r, path, http.StatusSeeOther)
}

// purge removes the page at path, as clients see it that know the site by the same name as r.
func (s *site) purge(r *http.Request, path string) error {
	scheme := "http"
	if r.TLS != nil {
		scheme = "https"
	}
	_, err := s.pages.Purge(r.Context(), scheme+"://"+r.Host+path)
	return err
}

// stats tells all counts of the process.
func (s *site) stats(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	if err := e.Encode(s.recorder.Snapshot()); err != nil {
		s.log.WarnContext(r.Context(), "stats", "error", err)
	}
}
