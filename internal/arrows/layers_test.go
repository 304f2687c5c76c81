package arrows

// Patterns are import paths relative to the module: "a/b" is that package, "a/*" the packages below it,
// "a/..." both, and "..." every package of the kit.

// layer is one row of the map: the packages that match it import, of the kit, only what sees names,
// what those see in turn, and helpers below internal, whose own imports count as the importer's.
type layer struct {
	packages string
	sees     []string
}

// layers is the map of the kit. The first row that matches a package counts; a package without a row is
// a violation.
var layers = []layer{
	{"core", nil},
	{"core/event", nil},
	{"core/store", []string{"core/event"}},
	{"core/codec", []string{"core/store"}},
	{"core/codec/*", []string{"core/codec"}},
	{"core/store/*", []string{"core/store", "core/codec"}},
	{"core/guard/*", []string{"core/store", "core/codec", "core/guard/*"}},
	{"core/cache", []string{"core/guard/*", "core/codec", "core/store", "core/store/nullstore"}},
	{"core/cachetest", []string{"core/cache"}},
	// Backends that need a server or a client are passed in; what is always there is not.
	{"core/config", []string{"core/cache", "core/store/memstore", "core/store/nullstore", "core/store/tiered"}},
	{"core/page", []string{"core/cache"}},
	{"core/page/*", []string{"core/page"}},
	{"fragment", []string{"core/cache"}},
	{"fragment/*", []string{"fragment"}},
	{"stats", []string{"core/event"}},
	{"stats/dashboard", []string{"core/cache", "stats"}},
	{"stats/*", []string{"stats"}},
	{"cachectl", []string{"core/cache", "stats", "core/config", "core/store/*", "core/codec/*"}},
	{"nethttpmw", []string{"core/page", "stats"}},         // stats: Monitor, per request
	{"ginmw", []string{"core/page", "stats", "fragment"}}, // fragment: the framework's template renderer
	{"echomw/...", []string{"core/page", "stats", "fragment"}},
	{"internal/...", []string{"..."}},
	{"examples/...", []string{"..."}},
}

// leaf says which packages alone import a third party's module, itself or anything in it. Tests and
// examples are free.
type leaf struct {
	module string
	in     []string
}

// leaves is every dependency that the kit has: one that is not here is a violation.
var leaves = []leaf{
	{"github.com/allegro/bigcache/v3", []string{"core/store/bigstore"}},
	{"github.com/bits-and-blooms/bloom/v3", []string{"core/guard/filter"}},
	{"github.com/bradfitz/gomemcache", []string{"core/store/memcachestore"}},
	{"github.com/gin-gonic/gin", []string{"ginmw"}},
	{"github.com/hibiken/asynq", []string{"core/guard/refresh/*"}},
	{"github.com/klauspost/compress", []string{"core/codec/zstd"}},
	{"github.com/labstack/echo/v4", []string{"echomw"}},
	{"github.com/labstack/echo/v5", []string{"echomw/v5"}},
	{"github.com/maypok86/otter/v2", []string{"core/store/memstore"}},
	{"github.com/prometheus/client_golang", []string{"stats/promstats"}},
	{"github.com/redis/go-redis/v9", []string{"core/store/redisstore", "core/guard/refresh/asynqrefresh", "internal/testserver"}},
	{"github.com/vmihailenco/msgpack/v5", []string{"core/codec/msgpack"}},
	{"go.opentelemetry.io/otel", []string{"stats/otelstats"}},
	{"golang.org/x/sync", []string{"core/..."}},
}

// closure limits all that a package compiles with, at any distance.
type closure struct {
	packages string
	modules  []string // the only third-party modules
	not      []string // packages of the standard library that must not be there
}

// bloomAndSync is bloom with what it needs itself, and x/sync.
var bloomAndSync = []string{"github.com/bits-and-blooms/bloom/v3", "github.com/bits-and-blooms/bitset", "golang.org/x/sync"}

var closures = []closure{
	{"core/event", nil, []string{"net/http"}},
	{"core/store", nil, []string{"net/http"}},
	{"core/store/storetest", nil, nil},
	{"core/store/nullstore", nil, []string{"net/http"}},
	{"core/codec", nil, []string{"net/http"}},
	{"core/cache", bloomAndSync, []string{"net/http"}},
	{"core/cachetest", bloomAndSync, []string{"net/http"}},
	{"core/config", append([]string{"github.com/maypok86/otter/v2"}, bloomAndSync...), []string{"net/http"}},
	{"core/page", bloomAndSync, nil},
	{"fragment", bloomAndSync, nil},
	{"nethttpmw", bloomAndSync, nil},
	{"stats", nil, nil},
}

// ban keeps a package of the standard library out of what a pattern matches, exceptions aside. It looks
// at direct imports.
type ban struct {
	packages string
	imports  string
	except   []string
}

var bans = []ban{
	{"core/...", "net/http", []string{"core/page/..."}},
	{"core/...", "html/template", nil},
	{"core/...", "testing", []string{"core/store/storetest", "core/cachetest"}},
}

// expected are the packages that the kit promises: one that is moved or lost takes its rules with it.
var expected = []string{
	"core",
	"core/cache",
	"core/cachetest",
	"core/codec",
	"core/codec/msgpack",
	"core/codec/zstd",
	"core/config",
	"core/event",
	"core/guard/filter",
	"core/guard/breaker",
	"core/guard/flight",
	"core/guard/keyrule",
	"core/guard/lease",
	"core/guard/mirror",
	"core/guard/negative",
	"core/guard/refresh",
	"core/page",
	"core/store",
	"core/store/memstore",
	"core/store/nullstore",
	"core/store/redisstore",
	"core/store/storetest",
	"core/store/tiered",
	"echomw",
	"echomw/v5",
	"fragment",
	"ginmw",
	"nethttpmw",
	"stats",
}
