package main

import (
	"net/http"
	"strconv"
	"strings"
)

// cartCookie holds the ids of what is in the cart, with dots between them. Its path is the cart's, and
// that is what keeps the rest of the site cached: requests with a cookie go past the page cache, and
// browsers send this one to /cart alone.
const cartCookie = "cart"

const maxCart = 50

func readCart(r *http.Request) []int {
	c, err := r.Cookie(cartCookie)
	if err != nil {
		return nil
	}
	var ids []int
	for text := range strings.SplitSeq(c.Value, ".") {
		if id, err := strconv.Atoi(text); err == nil && len(ids) < maxCart {
			ids = append(ids, id)
		}
	}
	return ids
}

// cart is never stored: its answer says so. Its objects come from the cache all the same.
func (s *site) cart(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Cache-Control", "private, no-store")
	products, err := s.inOrder(r.Context(), readCart(r))
	if err != nil {
		s.fail(w, r, err)
		return
	}
	total := 0
	for _, p := range products {
		total += p.Cents
	}
	s.render(w, r, http.StatusOK, "cart", view{Title: "Your cart", Products: products, Total: price(total)})
}

func (s *site) addToCart(w http.ResponseWriter, r *http.Request) {
	r.Body = http.MaxBytesReader(w, r.Body, maxForm)
	id, err := strconv.Atoi(r.PostFormValue("id"))
	if err != nil {
		http.Error(w, "Which product?", http.StatusBadRequest)
		return
	}
	ids := append(readCart(r), id)
	texts := make([]string, 0, len(ids))
	for _, id := range ids[max(0, len(ids)-maxCart):] {
		texts = append(texts, strconv.Itoa(id))
	}
	http.SetCookie(w, &http.Cookie{ //nolint:gosec // Secure wherever there is TLS; the example runs without
		Name: cartCookie, Value: strings.Join(texts, "."), Path: "/cart",
		MaxAge: 7 * 24 * 3600, HttpOnly: true, Secure: r.TLS != nil, SameSite: http.SameSiteLaxMode,
	})
	http.Redirect(w, r, "/cart", http.StatusSeeOther)
}
