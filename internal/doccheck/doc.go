// Package doccheck holds the kit to its house rules on text: every exported name is documented, nothing
// is left to be done in a comment, no test sleeps and none is skipped. It is made of tests alone.
package doccheck
