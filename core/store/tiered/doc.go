// Package tiered puts stores in front of one another: L1 in this process, L2 shared, and where there is one
// L3 durable. Together they are one store.Store, whose capabilities store.As tells.
//
// # Reading
//
// The tiers are asked from the first one down. The first fresh entry is the answer; a stale one is the answer
// only if no tier below has a fresher one, or none answers. What was found is copied into the tiers above it,
// with its times unchanged, so that it is one and the same entry everywhere; a tier with a MaxTTL keeps a copy
// that ends earlier.
//
// # Writing
//
// There is one order, from the lowest tier up: whoever misses in one tier finds the new state in those below,
// and nothing old comes up again. A write that fails stops where it is, so that the tiers above still agree,
// and the key leaves L1. A deletion tries every tier.
//
// A copy on its way up does not overtake a write of this process: it is given up when its key was written
// since it was read. Two writes of one key that overlap leave it out of L1, since their order below is not
// known. Keeping L1 in step with other processes is the affair of the invalidation log, see store.Validator.
//
// # Counters
//
// A counter lives in one tier alone, the first behind L1 that counts, and is as durable as that one.
package tiered
