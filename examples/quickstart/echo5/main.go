// Command echo5 is the smallest Echo 5 site with Strata: it caches whole pages, and the objects they are
// made of. Run it, and ask it twice: the first answer takes a second, the second one is a hit.
//
//	go run ./examples/quickstart/echo5
//	curl -i http://127.0.0.1:8080/hello/gopher
package main

import (
	"context"
	"flag"
	"fmt"
	"net"
	"net/http"
	"os"
	"time"

	"github.com/labstack/echo/v5"

	"github.com/strata-cache/strata/core/cache"
	"github.com/strata-cache/strata/core/page"
	"github.com/strata-cache/strata/core/store/memstore"
	echomw "github.com/strata-cache/strata/echomw/v5"
)

func main() {
	listen := flag.String("listen", "127.0.0.1:8080", "address to listen on")
	flag.Parse()

	c := cache.Must(cache.New(cache.Must(memstore.New(memstore.Options{})), cache.Options{}))
	greetings := cache.Must(cache.NewKind(c, "greeting", cache.KindOptions[string, string]{Load: greet}))
	pages := cache.Must(page.New(c, page.Options{TTL: time.Minute}))

	app := echo.New()
	app.Use(echomw.Cache(pages))
	app.GET("/hello/:name", func(e *echo.Context) error {
		text, err := greetings.Get(e.Request().Context(), e.Param("name"))
		if err != nil {
			return err
		}
		return e.String(http.StatusOK, text+"\n")
	})

	l := cache.Must(new(net.ListenConfig).Listen(context.Background(), "tcp", *listen))
	fmt.Fprintf(os.Stderr, "listening on http://%s\n", l.Addr())
	srv := &http.Server{Handler: app, ReadHeaderTimeout: 10 * time.Second}
	panic(srv.Serve(l))
}

// greet stands for a slow query.
func greet(ctx context.Context, name string) (string, error) {
	select {
	case <-time.After(time.Second):
		return "Hello " + name + ", it was " + time.Now().Format(time.TimeOnly), nil
	case <-ctx.Done():
		return "", ctx.Err()
	}
}
