package main

import (
	"net/http"
	"strings"

	"github.com/gin-gonic/gin"

	"github.com/strata-cache/strata/ginmw"
	"github.com/strata-cache/strata/stats"
)

// colons turns the {name} of a path into :name, as Gin and Echo write it.
var colons = strings.NewReplacer("{", ":", "}", "")

func mountGin(s *site) http.Handler {
	gin.SetMode(gin.ReleaseMode)
	e := gin.New()
	e.Use(ginmw.Monitor(stats.MonitorOptions{Logger: s.log}), ginmw.Cache(s.pages))
	for _, r := range s.routes() {
		h := func(c *gin.Context) {
			for _, p := range c.Params {
				c.Request.SetPathValue(p.Key, p.Value)
			}
			r.handle(c.Writer, c.Request)
		}
		if r.ttl != 0 {
			h = ginmw.Page(s.pages, r.ttl, h)
		}
		e.Handle(r.method, colons.Replace(r.path), h)
	}
	return e
}
