// Package config builds a program's named caches from one declarative description: a Go value, a JSON
// file, or environment variables.
//
//	cfg, err := config.FromEnv()
//	caches, err := config.Open(cfg, config.Parts{
//		Stores: map[string]config.Opener{
//			"redis": func(u *url.URL) (store.Store, error) { return redisstore.Open(u.String(), redisstore.Options{}) },
//		},
//	})
//	users, err := cache.NewKind(caches.Default(), "user", …)
//
// What code has to bring along — stores, codecs, an observer — comes in [Parts]. Nothing registers itself,
// so a program links only the clients of the servers that it uses. The stores "memory" and "null" and the
// codec "json" are always there.
//
// # JSON
//
//	{
//	  "caches": {
//	    "default":  {"url": "memory://?max=256MiB", "ttl": "10m", "priority": "important"},
//	    "sessions": {"url": "redis://localhost:6379/0", "prefix": "shop", "ttl": "12h", "key_mode": "reject"},
//	    "catalog":  {"tiers": [{"url": "memory://", "max_ttl": "1m", "jitter": 0.1}, "redis://localhost:6379/1"]}
//	  }
//	}
//
// Unknown fields, repeated fields and anything after the closing brace are errors. A cache called
// "default" is mandatory. Names of caches are lower-case letters, digits, '_' and '-', and begin with a
// letter.
//
// # Fields
//
//	url            the store, see below; mandatory where there are no tiers of it
//	tiers          two or three stores in front of one another, see below
//	prefix         cache.Options.Prefix
//	version        cache.Options.Version, a whole number
//	codec          "json", or a name in Parts.Codecs
//	store_timeout  cache.Options.StoreTimeout, a duration
//	key_mode       "hash" or "reject": what happens to a key that breaks the limits
//	key_max_len    longest key in bytes, namespace included; at least 64
//	ttl            cache.Policy.TTL, a duration or "forever"
//	jitter         cache.Policy.Jitter, a number from 0 to 1, or "off"
//	negative_ttl   cache.Policy.NegativeTTL, a duration
//	stale_for      cache.Policy.StaleFor, a duration or "forever"
//	hard_timeout   cache.Policy.HardTimeout, a duration
//	priority       "low", "normal", "important" or "critical"
//	shared         cache.Policy.Shared, "true" or "false"
//
// A field that is left out, empty or zero means the default of package cache. A duration is written as
// for time.ParseDuration ("90s", "1h30m"); "off", like any negative one, turns the feature off. A number
// without a unit is an error.
//
// # Stores
//
//	memory://[name][?max=SIZE&max_entry=SIZE]   memstore; the name is for its events
//	null://                                     nullstore, Django's dummy cache
//
// Sizes are bytes, or carry a unit: KiB, MiB, GiB, TiB for powers of 1024, kB, MB, GB, TB for powers of
// 1000; "off" means no limit. Any other scheme needs an opener in Parts.Stores, and what its URL means is
// the opener's affair.
//
// # Tiers
//
// Tiers are listed from the store in this process down: memory in front of a server, and where one is wanted
// a durable store behind it. Each is a URL, or an object with
//
//	url      the store
//	max_ttl  how long it keeps a copy at most, a duration; left out, as long as the others
//	jitter   the share of max_ttl, from 0 to 1, up to which a copy's life is shortened at random; default none
//	name     what errors call it; default L1, L2, L3
//
// A variable holds either such a list in JSON, or URLs alone with blanks between them:
// STRATA_CACHE_DEFAULT_TIERS="memory://?max=64MiB redis://localhost:6379/0". What package tiered does with
// them is said there. A tier that fails where the others have an answer is an event.StoreError of the cache.
//
// # Environment
//
//	STRATA_CONFIG                  path of a JSON file that is read first
//	STRATA_CACHE_<ALIAS>_<FIELD>   one field of one cache, for instance STRATA_CACHE_DEFAULT_URL or
//	                               STRATA_CACHE_USER_DATA_NEGATIVE_TTL
//
// ALIAS is the cache's name in upper case with '-' written as '_', and FIELD a field from above in upper
// case. A variable replaces that field of the file, also by an empty value, and adds a cache that the file
// does not have (under the lower-case name, with '_'). A name that would make the split ambiguous, such as
// "user_negative", is refused. A variable that begins with STRATA_CACHE_ and names no field is an error.
//
// # Errors
//
// Every error about a value is a [FieldError], which names the cache and the field; all of them are
// reported at once, joined. No error holds a password of a URL.
package config
