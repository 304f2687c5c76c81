// Package cachetest helps to test what is built on a cache: a cache over a store of its own whose time the
// test moves, counts of what its hits, misses and loads were, and a store that fails when it is told to.
//
//	c := cachetest.New(t, cache.Options{})
//	users := cache.Must(cache.NewKind(c.Cache, "user", options))
//	…
//	c.Clock.Advance(time.Hour)
//	c.Recorder.AssertLoads(t, "user", 1)
//
// The clock is the time by which values expire. What waits for a real duration, such as the timeout of a load
// or the back-off of a refresh, goes by the system's: in a bubble of testing/synctest that is a fake one as
// well, and there no Clock is needed.
package cachetest
