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
// # Threats and guards
//
// Every guard is a package of its own below core/guard; this one puts them in order. What follows is what is
// on unless a field says otherwise; negative switches off.
//
//	threat                         guard                        field                       default
//	made-up or overlong keys       keyrule                      Options.Key, KeyRule        250 bytes, longer ones hashed
//	keys that do not exist         negative caching, apart      Policy.NegativeTTL          30 s
//	                                                            Options.MaxNegative         10,000 keys
//	                               filter (bloom)               Policy.Filter               none
//	one hot key expires            flight: one load a process   always on
//	                               lease: one load a fleet      Policy.Coalesce             where the store grants leases
//	                                                            Options.LeaseTTL            10 s
//	                               renewal in the background    Policy.RefreshAt            0.9 of the TTL
//	many keys expire at once       jitter                       Policy.Jitter               0.1
//	                               bulkhead                     Policy.MaxLoads, LoadWait   256, 1 s
//	                               refresh queue                Options.RefreshQueue        1,024
//	slow or failing loaders        hard timeout                 Policy.HardTimeout          10 s
//	                               soft timeout                 Policy.SoftTimeout          off
//	                               stale on error, back-off     Policy.StaleFor             the TTL, at most 1 h
//	                               simplified data              KindOptions.Fallback        none
//	a late load overwrites         flight, lease, mirror        always on
//	what was invalidated is served mirror of the log            where the store has a log
//	the log is out of reach        mirror: short-lived copies   Options.DegradedL1TTL       5 s
//	a write and its invalidation   hold: Update, OnCommit       per call
//	a slow or dead shared store    deadline                     Options.StoreTimeout        50 ms
//	                               breaker                      with the deadline           5 failures, or 10 of 20
//
// Per call TTL, Tags and RefreshAfter stand for a policy's; [Disabled] switches everything off for a context,
// and the environment variable STRATA_DISABLED=1 for a program.
//
// # Stores that cannot do everything
//
// What a store cannot carry is refused or done without, as follows, and never in silence:
//
//	in this process       everything but leases, which nobody needs there: Coalesce: Fleet is refused by New
//	redisstore, tiered    everything
//	without store.Leaser  one load a process; Coalesce: Fleet is refused; so is Mutex
//	without store.Log     InvalidateTags and ExpireTags are refused; Set, Delete, Update and Clear act on the
//	                      store and on loads of this process; nothing inherits keys, only tags and lifetimes;
//	                      remembered ErrNotFounds lie in the store
//	without store.Adder, Toucher, Counter, Scanner: the verbs that need them are refused by name
//
// # Invalidation
//
// A shared store keeps a log of invalidations, which every process reads. Each entry bears the position in it
// that its maker had applied when it began; a reader compares that with what it has applied itself. So a value
// is never served by a process that has heard of a later invalidation of its key, of one of its tags, of
// something that it was built from, or of its namespace, whichever tier it comes from, and whoever has stored
// it when. The process that invalidates has heard of it when the call returns; the others within about a
// millisecond.
//
// Kinds with KindOptions.Inherit, fragments and pages depend on what was read through the context of their
// making: by its tags, by its key, and for its remaining lifetime.
//
// # What callers can rely on
//
// A store that fails or hangs never reaches the callers of Get and Fetch: it costs a load, an event, and
// at most Options.StoreTimeout. Verbs that write, or whose answer is the point (Has, TTL, Incr, Delete …),
// return its error. Errors of loaders come back as they are.
//
// Concurrent callers of one missing key share one load per process, and per fleet where the store grants
// leases. It runs on a context of its own, which carries the values of the first caller's, and ends at
// Policy.HardTimeout or when its last caller has left; each caller leaves at its own deadline. What a load
// returns is not stored if its key was written or removed, or what it bears invalidated, since it began.
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
//	Policy.HardTimeout      10 seconds; where a process waits for another's load, as long again
//	Options.StoreTimeout    50 milliseconds, for stores outside the process
//	key length              250 bytes with its namespace; longer keys are hashed
//	tags of a value         256; a value with more is not stored
package cache
