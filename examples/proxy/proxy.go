package main

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httputil"
	"net/url"
	"time"
)

// patience is how long the origin may take to begin its answer.
const patience = time.Minute

// newProxy returns the handler that asks the origin.
func newProxy(origin *url.URL, logger *slog.Logger) http.Handler {
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.Proxy = nil
	transport.DisableCompression = true // what the origin has encoded stays encoded, and its Vary true
	transport.MaxIdleConnsPerHost = 64
	transport.ResponseHeaderTimeout = patience
	proxy := &httputil.ReverseProxy{
		Transport: transport,
		Rewrite: func(r *httputil.ProxyRequest) {
			r.SetURL(origin)
			// All of it is in the cache's key, so the origin may see what the client has sent: the host,
			// and the query to the byte.
			r.Out.Host = r.In.Host
			r.Out.URL.RawQuery = r.In.URL.RawQuery
			r.SetXForwarded()
		},
		ErrorLog: slog.NewLogLogger(logger.Handler(), slog.LevelWarn),
		ErrorHandler: func(w http.ResponseWriter, r *http.Request, err error) {
			status := http.StatusBadGateway // no page cache stores it, nor 504
			if errors.Is(err, context.DeadlineExceeded) || errors.Is(context.Cause(r.Context()), context.DeadlineExceeded) {
				status = http.StatusGatewayTimeout
			}
			if !errors.Is(err, context.Canceled) || status == http.StatusGatewayTimeout {
				logger.Warn("the origin does not answer", "error", err)
			}
			http.Error(w, http.StatusText(status), status)
		},
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { proxy.ServeHTTP(early{w}, r) })
}

// early sends informational responses to the server's own writer. Echo's would take one for the answer
// and refuse the real status after it; Gin's would only note it.
type early struct{ http.ResponseWriter }

// WriteHeader passes the status on.
func (w early) WriteHeader(status int) {
	to := w.ResponseWriter
	if status >= 100 && status < 200 && status != http.StatusSwitchingProtocols {
		to = innermost(to)
	}
	to.WriteHeader(status)
}

// Unwrap returns the writer behind, for http.ResponseController.
func (w early) Unwrap() http.ResponseWriter { return w.ResponseWriter }

func innermost(w http.ResponseWriter) http.ResponseWriter {
	for {
		u, ok := w.(interface{ Unwrap() http.ResponseWriter })
		if !ok {
			return w
		}
		w = u.Unwrap()
	}
}
