package main

import (
	"context"
	"encoding/json"
	"errors"
	"math"
	"net/http"
	"net/netip"
	"strconv"

	"github.com/strata-cache/strata/core/cache"
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

// setPrice changes a product. What is loaded of it meanwhile, here or by another process, is not kept; and
// every page and fragment that shows it ends with it, since it was read while they were made.
func (s *site) setPrice(w http.ResponseWriter, r *http.Request) {
	r.Body = http.MaxBytesReader(w, r.Body, maxForm)
	id, err := strconv.Atoi(r.PostFormValue("id"))
	euros, priceErr := strconv.ParseFloat(r.PostFormValue("price"), 64)
	if err != nil || priceErr != nil || !(euros >= 0 && euros < 1e6) {
		http.Error(w, "Which price, of which product?", http.StatusBadRequest)
		return
	}
	err = s.products.Update(r.Context(), id, func(ctx context.Context) error {
		return s.source.SetPrice(ctx, id, int(math.Round(euros*100)))
	})
	switch {
	case errors.Is(err, errNoRow):
		http.Error(w, "No such product.", http.StatusNotFound)
		return
	case errors.Is(err, cache.ErrNotInvalidated):
		// The price is saved, and this process knows. Others hear of it when Redis is back, and show the old
		// one for 5 seconds at most until then.
		s.log.WarnContext(r.Context(), "other processes could not be told of the new price", "product", id, "error", err)
	case err != nil:
		s.fail(w, r, err)
		return
	}
	http.Redirect(w, r, "/p/"+strconv.Itoa(id), http.StatusSeeOther)
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
