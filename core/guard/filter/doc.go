// Package filter keeps a Bloom filter of the keys that exist, so that requests for what does not exist never
// reach the database.
//
//	ids, err := filter.New(filter.Options{Name: "users", Capacity: 1_000_000, Source: allUserIDs, Shared: redis})
//	defer ids.Close()
//	if !ids.MayContain(ctx, id) { … } // it does not exist
//
// It errs to one side only: a key that exists is let through. In doubt MayContain says "maybe".
//
// # What the application owes it
//
// Add is called before the database commits a new key, and the commit follows within CommitWithin; a
// transaction that is rolled back costs a false positive. Source yields all keys that were committed when it
// was called. Deleted keys stay in the filter until the next rebuild.
//
// # One process or many
//
// Without Shared a filter knows what its own process adds, and is for an application of one process. With
// Shared the processes keep one bitmap together. Each has a copy of it: what the copy holds may exist, at no
// cost; that a key is not there is confirmed on the shared bitmap, in one round trip, since another process
// may have added it. Add is done when the shared bitmap has the key.
//
// # Doubt
//
// The shared bitmap holds its own description: a token, its size, whether it is complete, and a number that
// grows with every change. A "no" counts only if it comes with the right ones. When the bitmap is missing,
// cut, foreign, replaced, incomplete or older than this process has seen it, when the server fails, is slow,
// or is another run than the one on which the bitmap was made, the filter is open: it answers "maybe" to
// everything, reports event.FilterOpen, looks again, and where needed rebuilds the bitmap from Source. One
// process builds, the others wait; one that dies while it builds is replaced after HoldTTL. While a bitmap is
// being built, Add goes to it and to the one in use. Building begins CommitWithin after the new bitmap takes
// the first Add, so that no key falls between the two.
//
// What a filter cannot notice: a server that restarts from an older copy of its data is found out at once by
// a process that has seen a newer one, and by all others within three Watch intervals; until then those may
// refuse keys that were added between the copy and the restart. On the cut-off side of a partitioned server
// keys that were added on the other side may be refused until it is healed.
package filter
