package main

import (
	"errors"
	"fmt"
	"net/http"
	"strconv"

	"github.com/strata-cache/strata/core/cache"
)

func (s *shop) handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /product/{id}", s.showProduct)
	mux.HandleFunc("GET /category/{name}", s.showCategory)
	mux.HandleFunc("POST /product/{id}", s.edit)
	mux.HandleFunc("POST /commit", s.goOn)
	return mux
}

func (s *shop) showProduct(w http.ResponseWriter, r *http.Request) {
	id, err := strconv.ParseInt(r.PathValue("id"), 10, 64)
	if err != nil {
		http.NotFound(w, r)
		return
	}
	p, err := s.products.Get(r.Context(), id)
	s.answer(w, err, p)
}

func (s *shop) showCategory(w http.ResponseWriter, r *http.Request) {
	all, err := s.categories.Get(r.Context(), r.PathValue("name"))
	s.answer(w, err, all...)
}

func (s *shop) answer(w http.ResponseWriter, err error, products ...product) {
	if err != nil {
		fail(w, err)
		return
	}
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	for _, p := range products {
		_, _ = fmt.Fprintf(w, "%s %d.%02d\n", p.Name, p.Cents/100, p.Cents%100)
	}
	_, _ = fmt.Fprintf(w, "%d queries\n", s.queries.Load())
}

func fail(w http.ResponseWriter, err error) {
	if errors.Is(err, cache.ErrNotFound) {
		http.Error(w, "there is no such thing", http.StatusNotFound)
		return
	}
	http.Error(w, err.Error(), http.StatusInternalServerError)
}

// edit takes a price in cents.
func (s *shop) edit(w http.ResponseWriter, r *http.Request) {
	id, err := strconv.ParseInt(r.PathValue("id"), 10, 64)
	if err != nil {
		http.NotFound(w, r)
		return
	}
	cents, err := strconv.ParseInt(r.FormValue("price"), 10, 64)
	if err != nil {
		http.Error(w, "price has to be a number of cents", http.StatusBadRequest)
		return
	}
	if err := s.setPrice(r.Context(), id, cents, r.FormValue("wait") != ""); err != nil {
		fail(w, err)
		return
	}
	w.WriteHeader(http.StatusNoContent)
}

// goOn lets one transaction commit that waits for it.
func (s *shop) goOn(w http.ResponseWriter, _ *http.Request) {
	select {
	case s.commit <- struct{}{}:
		w.WriteHeader(http.StatusNoContent)
	default:
		http.Error(w, "no transaction waits", http.StatusConflict)
	}
}
