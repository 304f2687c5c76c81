// Package core is the map of the kit; it holds no code.
//
//   - [github.com/strata-cache/strata/core/event] is what the engine tells an observer. It knows nobody.
//   - [github.com/strata-cache/strata/core/store] is the contract of one backend: [store.Entry], [store.Store] and the
//     optional capabilities. Its subpackages are the backends (memstore, redisstore, nullstore) and
//     the conformance suite that each of them passes (storetest).
//   - [github.com/strata-cache/strata/core/codec] turns values into bytes and entries into the frame that is
//     written to shared stores.
//   - core/guard holds the guards, one a package, each usable alone: keyrule (which keys are let
//     through), flight (one load per key in a process).
//   - [github.com/strata-cache/strata/core/cache] is the low-level API: named caches, typed kinds, Django's verbs. It
//     composes the guards over one store.
//   - [github.com/strata-cache/strata/core/config] builds named caches from a struct, a JSON file or the environment.
//   - [github.com/strata-cache/strata/core/page] is the HTTP page cache; nethttpmw, ginmw and echomw only carry it into
//     their frameworks.
//
// Imports point downwards in this list's reverse order: a page knows caches, a cache knows guards,
// codecs and stores, and all of them know events.
package core
