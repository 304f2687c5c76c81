// Command proxy is the page cache as a reverse proxy, in front of any HTTP server:
//
//	go run ./examples/proxy -origin http://127.0.0.1:9000
//	go run ./examples/proxy -origin https://www.example.com -framework gin -store redis://127.0.0.1:6379 -ttl 5m
//
// It follows the rules of package page: what a response forbids to store is not stored, and of requests
// with cookies only those are looked up whose cookies no page depends on. A page of which the length is
// not known beforehand is stored if it ends within a second of its first byte, as other streams do not.
//
// The origin sees the Host that the client has sent, which is part of the cache's key, so that its links
// and redirects lead back here. The proxy takes itself for the outermost one: X-Forwarded-For, -Host and
// -Proto, and Forwarded, are replaced by what it knows. A Redis server that does not answer costs time,
// but no request.
//
// SIGINT and SIGTERM end it when the requests in flight are answered. Bad usage is exit status 2.
package main

import (
	"errors"
	"flag"
	"log/slog"
	"net/url"
	"os"
	"time"

	"github.com/strata-cache/strata/core/page"
	"github.com/strata-cache/strata/examples/internal/serve"
)

func main() {
	serve.Exit("proxy", run(os.Args[1:], slog.New(slog.NewTextHandler(os.Stderr, nil))))
}

func run(args []string, logger *slog.Logger) error {
	flags := flag.NewFlagSet("proxy", flag.ContinueOnError)
	listen := flags.String("listen", "127.0.0.1:8080", "`address` to listen on")
	origin := flags.String("origin", "", "`URL` of the server behind, such as http://127.0.0.1:9000")
	framework := flags.String("framework", "nethttp", "what carries the cache: nethttp, gin, echo or echo5")
	where := flags.String("store", "memory", "where pages are kept: memory, or the `URL` of a Redis server")
	ttl := flags.Duration("ttl", time.Minute, "lifetime of pages that name none; negative: they are not stored")
	mode := flags.String("mode", "site", "whose rules hold: site or standard")
	if err := serve.Parse(flags, args); err != nil {
		return err
	}
	target, err := parseOrigin(*origin)
	if err != nil {
		return err
	}
	mount, ok := frameworks[*framework]
	if !ok {
		return serve.Usagef("-framework %q is none of nethttp, gin, echo and echo5", *framework)
	}
	opts := page.Options{TTL: *ttl, HardTimeout: patience}
	if opts.Mode, ok = modes[*mode]; !ok {
		return serve.Usagef("-mode %q is neither site nor standard", *mode)
	}
	caches, err := open(*where, logger)
	if err != nil {
		return err
	}
	pages, err := page.New(caches.Default(), opts)
	if err != nil {
		return serve.Usagef("-mode %s: %w", *mode, err)
	}
	return errors.Join(serve.Run(*listen, mount(pages, newProxy(target, logger)), logger), caches.Close())
}

var modes = map[string]page.Mode{"site": page.Site, "standard": page.Standard}

// parseOrigin returns the URL of the origin, which has a scheme, a host and perhaps a path.
func parseOrigin(text string) (*url.URL, error) {
	if text == "" {
		return nil, serve.Usagef("-origin is missing")
	}
	u, err := url.Parse(text)
	switch {
	case err != nil:
		return nil, serve.Usagef("-origin is no URL")
	case u.Scheme != "http" && u.Scheme != "https":
		return nil, serve.Usagef("-origin: the URL has to begin with http:// or https://")
	case u.Hostname() == "":
		return nil, serve.Usagef("-origin: the URL has no host")
	case u.User != nil, u.RawQuery != "", u.ForceQuery, u.Fragment != "":
		return nil, serve.Usagef("-origin: the URL must have no user, query or fragment")
	}
	return u, nil
}
