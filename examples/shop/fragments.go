package main

import (
	"context"
	"html/template"
	"io"
	"strconv"
	"strings"
	"time"

	"github.com/strata-cache/strata/core/cache"
	"github.com/strata-cache/strata/fragment"
)

// fragments are parts of pages that are cached by themselves: they are still there when the page around
// them is made anew.
type fragments struct{ cached *fragment.Fragments }

func newFragments(c *cache.Cache) fragments { return fragments{fragment.New(c)} }

// nav is the same on every page.
func (f fragments) nav(ctx context.Context, o *objects) (template.HTML, error) {
	return f.write(ctx, "nav", time.Hour, func(ctx context.Context, w io.Writer) error {
		categories, err := o.allCategories(ctx)
		if err != nil {
			return err
		}
		return templates.ExecuteTemplate(w, "nav", categories)
	})
}

// reviews belong to one product; a new price does not touch them.
func (f fragments) reviews(ctx context.Context, o *objects, product int) (template.HTML, error) {
	return f.write(ctx, "reviews:"+strconv.Itoa(product), 5*time.Minute, func(ctx context.Context, w io.Writer) error {
		list, err := o.reviews.Get(ctx, product)
		if err != nil {
			return err
		}
		return templates.ExecuteTemplate(w, "reviews", list)
	})
}

func (f fragments) write(
	ctx context.Context, key string, ttl time.Duration, render func(context.Context, io.Writer) error,
) (template.HTML, error) {
	var b strings.Builder
	if err := f.cached.Write(ctx, &b, key, ttl, render); err != nil {
		return "", err
	}
	return template.HTML(b.String()), nil //nolint:gosec // a template has escaped it, for where it is put
}
