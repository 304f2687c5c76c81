package main

import (
	"net/http"

	"github.com/labstack/echo/v5"

	echomw "github.com/strata-cache/strata/echomw/v5"
	"github.com/strata-cache/strata/stats"
)

func mountEcho5(s *site) http.Handler {
	e := echo.New()
	e.Logger = s.log
	e.Use(echomw.Monitor(stats.MonitorOptions{Logger: s.log}), echomw.Cache(s.pages))
	for _, r := range s.routes() {
		h := func(c *echo.Context) error {
			for _, p := range c.PathValues() {
				c.Request().SetPathValue(p.Name, p.Value)
			}
			r.handle(c.Response(), c.Request())
			return nil
		}
		if r.ttl != 0 {
			h = echomw.Page(s.pages, r.ttl, h)
		}
		e.Add(r.method, colons.Replace(r.path), h)
	}
	return e
}
