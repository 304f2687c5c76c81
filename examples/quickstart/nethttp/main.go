// Command nethttp is the smallest net/http site with Strata: it caches whole pages, and the objects they are
// made of. Run it, and ask it twice: the first answer takes a second, the second one is a hit.
//
//	go run ./examples/quickstart/nethttp
//	curl -i http://127.0.0.1:8080/hello/gopher
package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"time"

	"github.com/strata-cache/strata/core/cache"
	"github.com/strata-cache/strata/core/page"
	"github.com/strata-cache/strata/core/store/memstore"
	"github.com/strata-cache/strata/nethttpmw"
)

func main() {
	listen := flag.String("listen", "127.0.0.1:8080", "address to listen on")
	flag.Parse()

	c := cache.Must(cache.New(cache.Must(memstore.New(memstore.Options{})), cache.Options{}))
	greetings := cache.Must(cache.NewKind(c, "greeting", cache.KindOptions[string, string]{Load: greet}))
	pages := cache.Must(page.New(c, page.Options{TTL: time.Minute}))

	mux := http.NewServeMux()
	mux.HandleFunc("GET /hello/{name}", func(w http.ResponseWriter, r *http.Request) {
		text, err := greetings.Get(r.Context(), r.PathValue("name"))
		if err != nil {
			http.Error(w, err.Error(), http.StatusServiceUnavailable)
			return
		}
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		_, _ = io.WriteString(w, text+"\n") //nolint:gosec // the type says that it is no HTML
	})
	app := nethttpmw.Cache(pages)(mux)

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
