// Package arrows holds the kit to its import arrows. It is made of tests alone: layers_test.go is the
// table of who may import whom, and the place to change when a package is added.
package arrows
