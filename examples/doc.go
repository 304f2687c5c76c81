// Package examples is the tour of the kit; it holds no code, only the programs below it.
//
//   - quickstart: the smallest site with a page cache and a typed kind, in net/http, Gin, Echo 4 and
//     Echo 5, one file each.
//   - shop: a catalogue over a slow data source with all layers: pages, fragments, objects.
//   - proxy: the page cache as a reverse proxy in front of any HTTP server.
//   - worker: products that other processes renew than those that serve them.
//   - sqlshop: edits in transactions of an SQL database, which the cache follows. It is a module of its own,
//     for the drivers' sake, and has its tests beside it.
//
// The tests in this folder build each program, run it as a process and ask it over HTTP; they do the same
// with the program in README.md, and compile every other piece of Go in it.
package examples
