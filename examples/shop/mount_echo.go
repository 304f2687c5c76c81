package main

import (
	"net/http"

	"github.com/labstack/echo/v4"

	"github.com/strata-cache/strata/echomw"
	"github.com/strata-cache/strata/stats"
)

func mountEcho(s *site) http.Handler {
	e := echo.New()
	e.Use(echomw.Monitor(stats.MonitorOptions{Logger: s.log}), echomw.Cache(s.pages))
	for _, r := range s.routes() {
		h := func(c echo.Context) error {
			for i, name := range c.ParamNames() {
				c.Request().SetPathValue(name, c.ParamValues()[i])
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
