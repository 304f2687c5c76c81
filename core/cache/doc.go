// Package cache is the low-level API: named caches over one store each, typed kinds, and Django's verbs.
// It composes the guards: key rules, one load for concurrent callers, negative caching, stale-on-error
// and jitter.
//
// A [Kind] is the usual way in. Its policy and loader are given once, and Get does the rest:
//
//	users, err := cache.NewKind(c, "user", cache.KindOptions[int64, User]{Load: loadUser})
//	u, err := users.Get(ctx, 42)
//
// The verbs ([Get], [Set], [Add], [Fetch], … and the methods of [Cache]) work on untyped string keys, as
// Django's do. A [Manager] holds the caches of a program by name.
//
// # What callers can rely on
//
// A store that fails or hangs never reaches the callers of Get and Fetch: it costs a load, an event, and
// at most Options.StoreTimeout. Verbs that write, or whose answer is the point (Has, TTL, Incr, Delete …),
// return its error. Errors of loaders come back as they are.
//
// Concurrent callers of one missing key share one load per process. It runs on a context of its own, which
// carries the values of the first caller's, and ends at Policy.HardTimeout or when its last caller has
// left; each caller leaves at its own deadline. What a load returns is not stored if its key was written
// or removed since the load began.
//
// What is in the store is not trusted: bytes that are damaged, foreign, or of another type or shape of the
// same type are a miss and an event, and are overwritten.
//
// Values are isolated: what Set was given can be modified afterwards, and so can what Get returned. Types
// that hold no pointer, slice, map, interface or channel are decoded once and shared by their readers, as
// are all types under Policy.Shared; a type with a method Clone() of its own type is cloned from the
// shared form.
//
// # Lifetimes
//
// In policies and options zero means the default and negative means off. For the TTL of one call:
//
//	omitted or 0   the policy's TTL
//	Forever        the value does not expire
//	negative       nothing is stored, and what was there is removed
//
// # Defaults
//
//	Policy.TTL              5 minutes, or that of a named priority: Critical 1 hour,
//	                        Important 30 minutes, Normal 10 minutes, Low 5 minutes
//	Policy.Jitter           0.1: a TTL is shortened by up to 10 %, once, when the value is stored
//	Policy.NegativeTTL      30 seconds
//	Policy.StaleFor         as long as the TTL, at most 1 hour; nothing for values that a verb wrote
//	Policy.HardTimeout      10 seconds
//	Options.StoreTimeout    50 milliseconds, for stores outside the process
//	key length              250 bytes with its namespace; longer keys are hashed
//	tags of a value         256; a value with more is not stored
package cache
