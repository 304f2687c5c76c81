// Package redisstore keeps entries on a Redis or Valkey server: the shared second tier. It works over
// any redis.UniversalClient of go-redis: one server, a master with replicas, Sentinel, Cluster, Ring.
//
//	s, err := redisstore.Open("redis://user:password@cache.internal:6379/0", redisstore.Options{Prefix: "shop:"})
//
// Open tunes and owns its client; New works with one that the caller has made and closes, which should
// have been through Tune. Neither asks the server anything, so an application starts without it.
//
// # Options
//
//	Prefix         "strata:"  what every key on the server begins with
//	OpTimeout      50 ms      what a round trip may take; negative: no limit beside the client's own
//	MaxEntryBytes  8 MiB      the largest frame that is stored; negative: what the server takes, 512 MiB
//	LogLength      100,000    how many records the log keeps, about; negative: all
//
// No store's prefix may be the beginning of another's: "shop:" holds "shop:eu:" too, and clears it.
//
// # What it costs
//
// Get, Set, Add, Touch, Incr and Delete of one key are one round trip each, GetMany, SetMany and Delete
// of many keys one for every 1,000. Counters are the exception: reading one takes a second round trip,
// for its lifetime. After a server's start the first call of each script takes one more. Scan and Clear
// walk the keys of the whole database, 1,000 a round trip, whatever the prefix.
//
// A call that gets no answer within OpTimeout returns ErrTimeout. A caller's own deadline is kept as
// well; a caller that cancels is let go when OpTimeout is over at the latest. A new connection with TLS
// to another site can take longer than 50 ms to establish: go-redis finishes it in the background, and
// MinIdleConns or a longer OpTimeout spare the first calls their errors.
//
// # On the server
//
// An entry is a string that holds a frame of package codec, a counter a string of decimal digits, both
// with a PX that ends them at Gone. Expiry is relative: the clocks of server and application may
// differ, those of the applications should not. The key is the prefix and the entry's key, in which
// '%', '{' and '}' are written as %25, %7B and %7D, so that no key forms a Cluster hash tag of its own.
// A hash tag in Prefix works, and puts all entries on one slot. Behind the prefix, a brace is never an
// entry's: there lie the guards, of a key, or of a lock's name, as it is escaped,
//
//	<prefix>{log}                     the log, a stream
//	<prefix>{<prefix><key>}lease      a string: t and the holder's token, or in a back-off r and the result
//	<prefix>{<prefix><key>}waiters    a set of the nodes that wait for the lease
//	<prefix>{<prefix><name>}lock      a string: t and the holder's token
//	<prefix>{<prefix><name>}queue     a set of the nodes that wait for the lock
//	<prefix>{<prefix><name>}fence     the number of the last grant, which never expires
//	<prefix>{wake}<node>              the channel of a node
//
// so that what belongs to a key is on the key's slot. Scan does not show them, and Clear leaves them: leases
// and locks end by themselves, and the log and the fences are to stay. A record of the log is a list of
// fields that redis-cli shows as they are; WIRE.md beside package codec describes it.
//
// What is under the prefix and is not ours is a miss with an error that Is store.ErrCorrupt; Set,
// Add and Delete replace it. Where a client is made with replicas to read from, reads may lag.
//
// The server needs version 5 or later. An ACL user needs little: for the entries
//
//	~shop:* +get +mget +set +unlink +getrange +setrange +exists +incrby +pttl +pexpire +persist
//	+eval +evalsha +scan +ping +hello +select
//
// and for the log, leases and locks also
//
//	&shop:* +incr +sadd +smembers +time +xadd +xtrim +xrange +xrevrange +xread +publish +subscribe
//
// (on a Cluster +cluster|slots +readonly +command too). As maxmemory-policy,
// noeviction refuses writes when the server is full and keeps reading; allkeys-lru and allkeys-lfu suit
// a server that only caches; volatile-lru and volatile-lfu one that holds other data too, since every
// entry with a TTL has an expiry. An eviction is a miss, never a wrong value. Of
// the guards, an evicted lease or set of waiters costs one more load or a wait that is polled; an evicted log
// is noticed by all who have read it, as one that was deleted; an evicted fence goes on from the server's
// clock. The two volatile policies leave the log and the fences alone. A full server that refuses writes still
// takes the records of invalidations, which are small and bounded in number, and deletes; on a Cluster or Ring too.
//
// go-redis logs failed dials to standard error; its logging.Disable stops that.
package redisstore
