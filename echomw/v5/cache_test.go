package echomw_test

import (
	"net/http"
	"testing"

	"github.com/labstack/echo/v5"

	"github.com/strata-cache/strata/echomw/v5"
	"github.com/strata-cache/strata/internal/pagetest"
)

func TestCacheConformance(t *testing.T) { pagetest.Run(t, build) }

func TestCacheAllocations(t *testing.T) { pagetest.Allocs(t, build, 1) }

func build(s pagetest.Setup) http.Handler {
	e := echo.New()
	if s.Outer != nil {
		e.Use(func(next echo.HandlerFunc) echo.HandlerFunc {
			return func(c *echo.Context) error {
				s.Outer(c.Response(), c.Request())
				return next(c)
			}
		})
	}
	if s.Site {
		e.Use(echomw.Cache(s.Pages))
	}
	h := func(c *echo.Context) error {
		s.Handler(c.Response(), c.Request())
		return nil
	}
	if s.Route {
		h = echomw.Page(s.Pages, s.TTL, h)
	}
	e.RouteNotFound("/*", h)
	return e
}
