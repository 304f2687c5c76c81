package main

import (
	"errors"
	"log/slog"
	"net/http"
	"strconv"
	"time"

	"github.com/strata-cache/strata/core/cache"
	"github.com/strata-cache/strata/core/page"
	"github.com/strata-cache/strata/stats"
)

// Lifetimes of pages.
const (
	siteTTL    = 30 * time.Second // for pages that nothing else is said about
	productTTL = 5 * time.Minute  // edits purge product pages, so they may live longer
)

// site is the shop in net/http. The frameworks only bring its routes to their routers.
type site struct {
	objects
	source    *source
	pages     *page.Cache
	fragments fragments
	recorder  *stats.Recorder
	log       *slog.Logger
}

func newSite(c *cache.Cache, src *source, recorder *stats.Recorder, logger *slog.Logger) (*site, error) {
	o, err := newObjects(c, src)
	if err != nil {
		return nil, err
	}
	pages, err := page.New(c, page.Options{TTL: siteTTL})
	if err != nil {
		return nil, err
	}
	return &site{
		objects: *o, source: src, pages: pages, fragments: newFragments(c), recorder: recorder, log: logger,
	}, nil
}

// route is one route of the site.
type route struct {
	method string
	path   string // "/" alone, or as http.ServeMux writes it
	handle http.HandlerFunc
	ttl    time.Duration // of its pages, where it is not the site's
}

func (s *site) routes() []route {
	own := http.NewCrossOriginProtection() // forms are sent by pages of ours
	post := func(h http.HandlerFunc) http.HandlerFunc { return own.Handler(h).ServeHTTP }
	return []route{
		{method: http.MethodGet, path: "/", handle: s.home},
		{method: http.MethodGet, path: "/c/{slug}", handle: s.category},
		{method: http.MethodGet, path: "/p/{id}", handle: s.product, ttl: productTTL},
		{method: http.MethodGet, path: "/cart", handle: s.cart},
		{method: http.MethodPost, path: "/cart", handle: post(s.addToCart)},
		{method: http.MethodPost, path: "/admin/price", handle: post(loopbackOnly(s.setPrice))},
		{method: http.MethodGet, path: "/stats", handle: loopbackOnly(s.stats)},
	}
}

// featured are the products on the home page.
var featured = []int{4, 1, 7, 8}

func (s *site) home(w http.ResponseWriter, r *http.Request) {
	products, err := s.inOrder(r.Context(), featured)
	if err != nil {
		s.fail(w, r, err)
		return
	}
	s.render(w, r, http.StatusOK, "home", view{Title: "Strata Stationery", Products: products})
}

func (s *site) category(w http.ResponseWriter, r *http.Request) {
	c, err := s.categories.Get(r.Context(), r.PathValue("slug"))
	if err != nil {
		s.fail(w, r, err)
		return
	}
	products, err := s.inOrder(r.Context(), c.Products)
	if err != nil {
		s.fail(w, r, err)
		return
	}
	page.AddTags(r, "category:"+c.Slug)
	s.render(w, r, http.StatusOK, "category", view{Title: c.Name, Products: products})
}

func (s *site) product(w http.ResponseWriter, r *http.Request) {
	id, err := strconv.Atoi(r.PathValue("id"))
	if err != nil {
		s.fail(w, r, cache.ErrNotFound)
		return
	}
	p, err := s.products.Get(r.Context(), id)
	if err != nil {
		s.fail(w, r, err)
		return
	}
	reviews, err := s.fragments.reviews(r.Context(), &s.objects, id)
	if err != nil {
		s.fail(w, r, err)
		return
	}
	page.AddTags(r, "product:"+strconv.Itoa(id))
	s.render(w, r, http.StatusOK, "product", view{Title: p.Name, Product: p, Reviews: reviews})
}

// fail answers with the page for an error. Neither status is stored as a page: what does not exist is
// remembered as an object.
func (s *site) fail(w http.ResponseWriter, r *http.Request, err error) {
	if errors.Is(err, cache.ErrNotFound) {
		s.render(w, r, http.StatusNotFound, "message", view{Title: "Not found", Message: "We do not have that."})
		return
	}
	s.log.ErrorContext(r.Context(), "no answer from the source", "error", err)
	http.Error(w, "The shop is closed for a moment.", http.StatusServiceUnavailable)
}
