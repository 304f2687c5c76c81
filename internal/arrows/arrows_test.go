package arrows

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// look touches the module's Go files. The go command re-runs a test when a file has changed that the test
// itself looked at; what a child process reads it does not see.
func look(t *testing.T) {
	t.Helper()
	err := filepath.WalkDir("../..", func(path string, d fs.DirEntry, err error) error {
		if err != nil || !strings.HasSuffix(path, ".go") {
			return err
		}
		_, err = os.Stat(path)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

// load lists the packages of the module and all that they compile with.
func load(t *testing.T) graph {
	t.Helper()
	look(t)
	cmd := exec.CommandContext(t.Context(), "go", "list", "-deps", "-json=ImportPath,Imports,Standard,Module", "./...")
	cmd.Dir = "../.."
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("go list: %v\n%s", err, &stderr)
	}
	g := graph{}
	for dec := json.NewDecoder(bytes.NewReader(out)); ; {
		var n node
		if err := dec.Decode(&n); errors.Is(err, io.EOF) {
			return g
		} else if err != nil {
			t.Fatal(err)
		}
		g[n.ImportPath] = n
	}
}

func TestArrows(t *testing.T) {
	g := load(t)
	if len(g) < 50 {
		t.Fatalf("go list found %d packages: it did not look at the kit", len(g))
	}
	for _, v := range check(g) {
		t.Error(v)
	}
	for _, rel := range missing(g) {
		t.Errorf("%s is expected and not there", rel)
	}
}

// lawful is a small kit without a violation.
func lawful() graph {
	g := graph{}
	for _, e := range [][2]string{
		{"core/store", "core/event"},
		{"core/codec", "core/store"},
		{"core/codec/msgpack", "core/codec"},
		{"core/codec/msgpack", "github.com/vmihailenco/msgpack/v5"},
		{"core/store/memstore", "core/store"},
		{"core/store/memstore", "github.com/maypok86/otter/v2/stats"},
		{"core/store/redisstore", "core/codec"},
		{"core/store/redisstore", "github.com/redis/go-redis/v9"},
		{"core/guard/filter", "github.com/bits-and-blooms/bloom/v3"},
		{"core/guard/lease", "core/store"},
		{"core/cache", "core/guard/lease"},
		{"core/cache", "core/guard/filter"},
		{"core/cache", "core/event"},
		{"core/cache", "internal/clock"},
		{"core/cache", "golang.org/x/sync/errgroup"},
		{"internal/clock", "time"},
		{"core/page", "core/cache"},
		{"core/page", "net/http"},
		{"ginmw", "core/page"},
		{"ginmw", "github.com/gin-gonic/gin"},
		{"stats", "core/event"},
		{"stats/dashboard", "core/cache"},
		{"examples/shop", "github.com/gin-gonic/gin"},
		{"examples/shop", "core/store/redisstore"},
	} {
		g = g.add(full(e[0]), full(e[1]))
	}
	for path, n := range g {
		for _, m := range []string{"golang.org/x/sync", "github.com/bits-and-blooms/bloom/v3"} {
			if within(path, m) {
				n.Module = &struct{ Path string }{m}
				g[path] = n
			}
		}
	}
	return g
}

// full turns a path of the kit into an import path; others stay as they are.
func full(path string) string {
	top, _, _ := strings.Cut(path, "/")
	if slices.Contains([]string{"core", "fragment", "stats", "cachectl", "nethttpmw", "ginmw", "echomw", "internal", "examples", "stray"}, top) {
		return module + "/" + path
	}
	return path
}

func TestCheckerAcceptsTheLawful(t *testing.T) {
	if bad := check(lawful()); len(bad) > 0 {
		t.Errorf("violations in a lawful kit: %q", bad)
	}
}

func TestCheckerRefuses(t *testing.T) {
	tests := []struct {
		name  string
		edges [][2]string
		want  string
	}{
		{"event sees the kit", [][2]string{{"core/event", "core/store"}}, "core/event does not see core/store"},
		{"store sees a cache", [][2]string{{"core/store", "core/cache"}}, "core/store does not see core/cache"},
		{"backend sees a guard", [][2]string{{"core/store/memstore", "core/guard/lease"}}, "does not see core/guard/lease"},
		{"backend sees a backend", [][2]string{{"core/store/redisstore", "core/store/memstore"}}, "does not see core/store/memstore"},
		{"backend sees a leaf codec", [][2]string{{"core/store/redisstore", "core/codec/msgpack"}}, "does not see core/codec/msgpack"},
		{"guard sees a cache", [][2]string{{"core/guard/lease", "core/cache"}}, "does not see core/cache"},
		{"cache sees a page", [][2]string{{"core/cache", "core/page"}}, "core/cache does not see core/page"},
		{"cache sees a backend", [][2]string{{"core/cache", "core/store/memstore"}}, "does not see core/store/memstore"},
		{"through a helper", [][2]string{{"internal/clock", "internal/deep"}, {"internal/deep", "core/page"}},
			"core/cache -> internal/clock -> internal/deep -> core/page: core/cache does not see core/page"},
		{"config sees a backend", [][2]string{{"core/config", "core/store/redisstore"}}, "core/config does not see"},
		{"page sees an adapter", [][2]string{{"core/page", "nethttpmw"}}, "core/page does not see nethttpmw"},
		{"fragment sees a page", [][2]string{{"fragment", "core/page"}}, "fragment does not see core/page"},
		{"stats sees a cache", [][2]string{{"stats", "core/cache"}}, "stats does not see core/cache"},
		{"adapter sees an adapter", [][2]string{{"ginmw", "nethttpmw"}}, "ginmw does not see nethttpmw"},
		{"core sees stats", [][2]string{{"core/page", "stats"}}, "core/page does not see stats"},
		{"a package without a row", [][2]string{{"stray/x", "core/event"}}, "stray/x has no row"},
		{"go-redis in a cache", [][2]string{{"core/cache", "github.com/redis/go-redis/v9"}}, "it belongs in core/store/redisstore"},
		{"gin in a page", [][2]string{{"core/page", "github.com/gin-gonic/gin/render"}}, "it belongs in ginmw alone"},
		{"echo 4 in echo 5's adapter", [][2]string{{"echomw/v5", "github.com/labstack/echo/v4"}}, "it belongs in echomw alone"},
		{"an unknown dependency", [][2]string{{"stats", "github.com/some/thing"}}, "not in leaves"},
		{"an SDK behind a permitted one", [][2]string{{"golang.org/x/sync/errgroup", "github.com/some/thing"}},
			"core/cache -> golang.org/x/sync/errgroup -> github.com/some/thing: core/cache compiles without that module"},
		{"HTTP below the page", [][2]string{{"core/guard/lease", "net/http"}}, "core/guard/lease -> net/http: nothing in core/... imports it"},
		{"HTTP at a distance", [][2]string{{"time", "expvar"}, {"expvar", "net/http"}},
			"core/cache -> internal/clock -> time -> expvar -> net/http: core/cache compiles without it"},
		{"testing in the library", [][2]string{{"core/cache", "testing"}}, "core/cache -> testing"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			g := lawful()
			for _, e := range tt.edges {
				g = g.add(full(e[0]), full(e[1]))
			}
			bad := check(g)
			if !slices.ContainsFunc(bad, func(v string) bool { return strings.Contains(v, tt.want) }) {
				t.Errorf("violations %q, want one with %q", bad, tt.want)
			}
		})
	}
}

func TestCheckerMissesPackages(t *testing.T) {
	g := graph{}
	for _, rel := range expected {
		g[full(rel)] = node{}
	}
	if m := missing(g); len(m) > 0 {
		t.Errorf("missing %q though all are there", m)
	}
	delete(g, full("core/page"))
	if m := missing(g); !slices.Equal(m, []string{"core/page"}) {
		t.Errorf("missing %q, want core/page", m)
	}
}

func TestMatch(t *testing.T) {
	tests := []struct {
		pattern, rel string
		want         bool
	}{
		{"core/store", "core/store", true},
		{"core/store", "core/store/memstore", false},
		{"core/store/*", "core/store", false},
		{"core/store/*", "core/store/memstore", true},
		{"core/store/*", "core/storex", false},
		{"core/store/...", "core/store", true},
		{"core/store/...", "core/store/a/b", true},
		{"...", "anything", true},
	}
	for _, tt := range tests {
		if got := match(tt.pattern, tt.rel); got != tt.want {
			t.Errorf("match(%q, %q) = %t", tt.pattern, tt.rel, got)
		}
	}
}
