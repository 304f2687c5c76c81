package ginmw_test

import (
	"net/http"
	"testing"

	"github.com/gin-gonic/gin"

	"github.com/strata-cache/strata/ginmw"
	"github.com/strata-cache/strata/internal/pagetest"
)

func TestCacheConformance(t *testing.T) { pagetest.Run(t, build) }

func TestCacheAllocations(t *testing.T) { pagetest.Allocs(t, build, 0) }

func build(s pagetest.Setup) http.Handler {
	gin.SetMode(gin.ReleaseMode)
	e := gin.New()
	if s.Outer != nil {
		e.Use(func(c *gin.Context) { s.Outer(c.Writer, c.Request) })
	}
	if s.Site {
		e.Use(ginmw.Cache(s.Pages))
	}
	h := func(c *gin.Context) { s.Handler(c.Writer, c.Request) }
	if s.Route {
		h = ginmw.Page(s.Pages, s.TTL, h)
	}
	// NoRoute sees every method, known or not; Gin presets its status to 404.
	e.NoRoute(func(c *gin.Context) { c.Status(http.StatusOK) }, h)
	return e
}
