// Package page caches whole HTTP responses: Django's per-site and per-view cache, with its holes closed. It
// knows net/http only; the packages nethttpmw, ginmw and echomw carry it into routers and frameworks.
//
//	pages, err := page.New(c, page.Options{TTL: time.Minute, Vary: []string{"Accept-Language"}})
//
//	handler := nethttpmw.Cache(pages)(mux)                             // a whole site
//	mux.Handle("GET /report", nethttpmw.Page(pages, time.Hour, report)) // one handler: cache_page
//	engine.Use(ginmw.Cache(pages))                                     // Gin
//	engine.GET("/report", ginmw.Page(pages, time.Hour, report))
//	e.Use(echomw.Cache(pages))                                         // Echo, v4 and v5
//	e.GET("/report", echomw.Page(pages, time.Hour, report))
//
// Middlewares that belong to one request go outside of the cache: logs, request ids, authentication,
// recovery from panics, compression, CORS. The header lines that they have set when the cache is reached are
// not stored; a hit gets those of its own request.
//
// A handler speaks to the cache through its request: [NoStore], [SetTTL], [AddTags]. The application removes
// pages with [Cache.Purge], [Cache.PurgeRequest] and [Cache.Clear]; what a handler was making meanwhile is
// not stored. No request can remove a page.
//
// # Rules
//
// In site mode the application decides, and requests do not: their Cache-Control is ignored.
//
//	GET and HEAD only; HEAD is answered from GET                      RFC 9110 §9.3.2, RFC 9111 §4
//	stored: 200 and 203; 301, 308, 404 and 410 that name a lifetime   RFC 9111 §3, narrower
//	never: Set-Cookie, private, no-store, no-cache, Vary: *           RFC 9111 §5.2.2, §4.1, stricter
//	Authorization or a client certificate: only pages that say        RFC 9111 §3.5
//	  public, s-maxage or must-revalidate
//	any Cookie that is neither ignored nor keyed: past the cache      stricter
//	lifetime: SetTTL, s-maxage, the route's TTL, max-age, Expires,    RFC 9111 §4.2.1
//	  Options.TTL; a lifetime of 0 is obeyed
//	a lifetime that the response names counts from the request        RFC 9111 §4.2.3
//	Age on every hit, as old as the response said it was and older    RFC 9111 §5.1
//	a directive twice: the shorter; a number that is none: stale      RFC 9111 §4.2.1
//	an Expires that is no date, or in another zone: past              RFC 9111 §5.3
//	no-cache and private with field names: of the whole response      RFC 9111 §5.2.2.4, §5.2.2.7
//	Vary: all lines; absent, empty and two lines are three values     RFC 9111 §4.1
//	If-None-Match, If-Modified-Since: answered from the page, also    RFC 9110 §13.2.2, RFC 9111 §4.3.2
//	  from the one that the request fills
//	Range: answered from a whole page; on a miss past the cache       RFC 9110 §14, RFC 9111 §3.4
//	If-Match, If-Unmodified-Since: past the cache                     RFC 9110 §13.1
//	Upgrade, a body, a method override: past the cache                —
//	hop-by-hop fields and those named in Connection: not stored       RFC 9111 §3.1
//	informational answers pass, and are not stored                    RFC 9110 §15.2
//	Cache-Status: one member, behind those of upstream caches         RFC 9211
//
// Beside these, a response is not stored if its handler has failed, panicked, exited, written nothing, or
// written less or more than its Content-Length; if somebody has tried to change the status behind its
// beginning; if it declares trailers, is an event stream, was flushed more than a second before its end, or
// was hijacked; if its body is longer than Options.MaxBody; if its context ended while it was made; or if its
// page was removed meanwhile.
//
// What belongs to one user in the body of a page, such as a CSRF token or a nonce, the cache cannot see: the
// handler says [NoStore], or Cache-Control: private. The same goes for credentials in headers that HTTP does
// not know as such, X-Api-Key for one: name them in Options.Skip or Options.VaryBy.
//
// # Keys
//
// A page's key is made of the scheme, the host in lower case without its default port, the escaped path to
// the letter, and the query with its parameters sorted by name, the order within a name kept; of the request
// target as well, where something has rewritten the URL; of all lines of the headers that frameworks are
// known to take a host, scheme, port or path from (Forwarded, X-Forwarded-Host, X-Original-URL and their
// like), which so can poison the pages of those only who send the same; and of what the options name: Vary,
// VaryBy, VaryCookies. All parts are framed by their length; a key that is too long is replaced by 128 bits
// of SHA-256. Scheme and host come from the connection and the Host header alone.
//
// Parameters and cookies that the options hide are kept from the handler as well: what is not in the key
// cannot be in the page.
//
// A URL whose responses carry Vary has an index under its key, with the names of the headers, and its pages
// under keys of their own. The names of several answers are united.
//
// # Runs
//
// Requests that miss the same page at the same time share one run of the handler. It runs on the goroutine
// of the first one, whose client reads along; the others get the page when it is complete, and only if it
// could be stored and is theirs: of their variant, and open to their credentials. Otherwise each runs the
// handler for itself. A page that could not be stored is marked for a few seconds (Options.HitForMiss), in
// which nobody waits; it is stored as soon as it can be. Nobody waits longer than Options.HardTimeout, or
// than a second behind the first Flush.
//
// A store that is down or slow costs its timeout (cache.Options.StoreTimeout), once for each operation: the
// handler answers, and those who wait share its page all the same.
package page
