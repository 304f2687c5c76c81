// Command gin is the smallest Gin site with Strata: it caches whole pages, and the objects they are
// made of. Run it, and ask it twice: the first answer takes a second, the second one is a hit.
//
//	go run ./examples/quickstart/gin
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

	"github.com/gin-gonic/gin"

	"github.com/strata-cache/strata/core/cache"
	"github.com/strata-cache/strata/core/page"
	"github.com/strata-cache/strata/core/store/memstore"
	"github.com/strata-cache/strata/ginmw"
)

func main() {
	listen := flag.String("listen", "127.0.0.1:8080", "address to listen on")
	flag.Parse()

	c := cache.Must(cache.New(cache.Must(memstore.New(memstore.Options{})), cache.Options{}))
	greetings := cache.Must(cache.NewKind(c, "greeting", cache.KindOptions[string, string]{Load: greet}))
	pages := cache.Must(page.New(c, page.Options{TTL: time.Minute}))

	gin.SetMode(gin.ReleaseMode)
	app := gin.New()
	app.Use(gin.Recovery(), ginmw.Cache(pages))
	app.GET("/hello/:name", func(g *gin.Context) {
		text, err := greetings.Get(g.Request.Context(), g.Param("name"))
		if err != nil {
			g.String(http.StatusServiceUnavailable, "%v\n", err)
			return
		}
		g.String(http.StatusOK, "%s\n", text)
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
