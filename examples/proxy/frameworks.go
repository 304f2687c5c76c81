package main

import (
	"net/http"

	"github.com/gin-gonic/gin"
	echo4 "github.com/labstack/echo/v4"
	echo5 "github.com/labstack/echo/v5"

	"github.com/strata-cache/strata/core/page"
	"github.com/strata-cache/strata/echomw"
	echomw5 "github.com/strata-cache/strata/echomw/v5"
	"github.com/strata-cache/strata/ginmw"
	"github.com/strata-cache/strata/nethttpmw"
)

// frameworks mount the proxy behind the page cache, for every path and method, known or not. None gets a
// recovery middleware: a panic of http.ErrAbortHandler is how the proxy tells the server that the origin
// has broken off, and the client must see it.
var frameworks = map[string]func(*page.Cache, http.Handler) http.Handler{
	"nethttp": func(pages *page.Cache, proxy http.Handler) http.Handler {
		return nethttpmw.Cache(pages)(proxy)
	},
	"gin": func(pages *page.Cache, proxy http.Handler) http.Handler {
		gin.SetMode(gin.ReleaseMode)
		e := gin.New()
		e.Use(ginmw.Cache(pages))
		e.NoRoute(func(c *gin.Context) {
			proxy.ServeHTTP(c.Writer, c.Request)
			c.Writer.WriteHeaderNow() // or Gin would make its own of a 404 without a body
		})
		return e
	},
	"echo": func(pages *page.Cache, proxy http.Handler) http.Handler {
		e := echo4.New()
		e.Use(echomw.Cache(pages))
		e.RouteNotFound("/*", func(c echo4.Context) error {
			proxy.ServeHTTP(c.Response(), c.Request())
			return nil
		})
		return e
	},
	"echo5": func(pages *page.Cache, proxy http.Handler) http.Handler {
		e := echo5.New()
		e.Use(echomw5.Cache(pages))
		e.RouteNotFound("/*", func(c *echo5.Context) error {
			proxy.ServeHTTP(c.Response(), c.Request())
			return nil
		})
		return e
	},
}
