package examples_test

import (
	"bufio"
	"encoding/json"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io"
	"maps"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
)

var codeBlock = regexp.MustCompile("(?s)\n```(\\w+)\n(.*?\n)```\n")

// readmeBlocks returns the blocks of one language in README.md, in order.
func readmeBlocks(t *testing.T, language string) []string {
	t.Helper()
	text, err := os.ReadFile("../README.md")
	if err != nil {
		t.Fatal(err)
	}
	var blocks []string
	for _, m := range codeBlock.FindAllStringSubmatch(string(text), -1) {
		if m[1] == language {
			blocks = append(blocks, m[2])
		}
	}
	return blocks
}

// goBuild compiles a package of the module whose files need not exist in it.
func goBuild(t *testing.T, output string, files map[string]string) {
	t.Helper()
	if err := look(); err != nil {
		t.Fatal(err)
	}
	root, err := filepath.Abs("..")
	if err != nil {
		t.Fatal(err)
	}
	const pkg = "examples/readme"
	dir, replace := t.TempDir(), map[string]string{}
	for name, content := range files {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		replace[filepath.Join(root, pkg, name)] = path
	}
	overlay, err := json.Marshal(map[string]any{"Replace": replace})
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, "overlay.json")
	if err := os.WriteFile(path, overlay, 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), "go", "build", "-overlay", path, "-o", output, "./"+pkg)
	cmd.Dir = root
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("go build: %v\n%s", err, out)
	}
}

// TestReadmeProgram runs the program that README.md begins with and compares its answers with those that
// README.md shows.
func TestReadmeProgram(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := l.Addr().String()
	l.Close()
	source := readmeBlocks(t, "go")[0]
	if strings.Count(source, "127.0.0.1:8080") != 1 {
		t.Fatal("the program names its address elsewhere")
	}
	path := filepath.Join(t.TempDir(), "program")
	goBuild(t, path, map[string]string{"main.go": strings.Replace(source, "127.0.0.1:8080", addr, 1)})
	cmd := exec.Command(path)
	dieWithParent(cmd)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	awaitListener(t, addr)
	p := &program{t: t, url: "http://" + addr}
	shown := strings.Split(readmeBlocks(t, "console")[0], "$ curl -i http://127.0.0.1:8080/report\n")[1:]
	if len(shown) != 2 {
		t.Fatalf("README.md shows %d answers", len(shown))
	}
	for i, text := range shown {
		res, err := http.ReadResponse(bufio.NewReader(strings.NewReader(text)), nil)
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(res.Body)
		res.Body.Close()
		if err != nil {
			t.Fatal(err)
		}
		if got, want := shape(p.get("/report")), shape(&answer{Response: res, body: string(body)}); got != want {
			t.Errorf("answer %d:\n%s\nbut README.md has\n%s", i+1, got, want)
		}
	}
}

// awaitListener waits until somebody listens.
func awaitListener(t *testing.T, addr string) {
	t.Helper()
	deadline := time.NewTimer(patience)
	defer deadline.Stop()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for {
		conn, err := net.DialTimeout("tcp", addr, time.Second)
		if err == nil {
			conn.Close()
			return
		}
		select {
		case <-tick.C:
		case <-deadline.C:
			t.Fatalf("nobody listens: %v", err)
		}
	}
}

// varying is what differs from one run to the next: times, ages and lifetimes.
var varying = regexp.MustCompile(`\d\d:\d\d:\d\d|ttl=\d+|^\d+$`)

// shape is an answer without what varies.
func shape(a *answer) string {
	var b strings.Builder
	fmt.Fprintln(&b, a.Proto, a.Status)
	for _, name := range slices.Sorted(maps.Keys(a.Header)) {
		value := strings.Join(a.Header[name], "|")
		if name == "Date" {
			value = ""
		}
		fmt.Fprintf(&b, "%s: %s\n", name, varying.ReplaceAllString(value, "…"))
	}
	return b.String() + varying.ReplaceAllString(a.body, "…")
}

// What the pieces in README.md take for granted.
const (
	surroundings = `
type User struct{ Name string }

func loadUser(context.Context, int64) (User, error)               { return User{}, nil }
func loadUsers(context.Context, []int64) (map[int64]User, error)  { return nil, nil }
func loadRates(context.Context) (map[string]float64, error)       { return nil, nil }
func news(context.Context, string) []string                       { return nil }
func save(context.Context, User) error                            { return nil }
func inTransaction(context.Context) error                         { return nil }

var (
	templates *template.Template
	report    gin.HandlerFunc
)
`
	parameters = "ctx context.Context, c *cache.Cache, st store.Store, w io.Writer, users *cache.Kind[int64, User], user User, mux *http.ServeMux, r *gin.Engine, e *echo.Echo, lang string, logger *slog.Logger"
)

var imports = map[string]string{
	"context": "context", "io": "io", "http": "net/http", "slog": "log/slog", "template": "html/template",
	"time": "time", "url": "net/url", "gin": "github.com/gin-gonic/gin", "echo": "github.com/labstack/echo/v4",
	"cache": "core/cache", "config": "core/config", "page": "core/page", "store": "core/store",
	"redisstore": "core/store/redisstore", "memstore": "core/store/memstore", "tiered": "core/store/tiered", "fragment": "fragment", "stats": "stats",
	"nethttpmw": "nethttpmw", "ginmw": "ginmw", "echomw": "echomw",
}

// TestReadmePieces compiles the pieces of Go in README.md, each as the body of a function.
func TestReadmePieces(t *testing.T) {
	files := map[string]string{"main.go": file(surroundings + "\nfunc main() {}\n")}
	for i, piece := range readmeBlocks(t, "go") {
		if strings.HasPrefix(piece, "package ") {
			continue
		}
		body := fmt.Sprintf("func piece%d(%s) error {\n{\n%s\n%s}\nreturn nil\n}\n", i, parameters, piece, uses(t, piece))
		files[fmt.Sprintf("piece%d.go", i)] = file(body)
	}
	if len(files) < 5 {
		t.Fatalf("README.md has %d pieces of Go", len(files)-1)
	}
	goBuild(t, filepath.Join(t.TempDir(), "pieces"), files)
}

// file puts a package clause and the imports that code needs before it.
func file(code string) string {
	var b strings.Builder
	b.WriteString("package main\n\n")
	for name, path := range imports {
		if regexp.MustCompile(`\b` + name + `\.[A-Z]`).MatchString(code) {
			if strings.HasPrefix(path, "core/") || path == "fragment" || path == "stats" || strings.HasSuffix(path, "mw") {
				path = "github.com/strata-cache/strata/" + path
			}
			fmt.Fprintf(&b, "import %q\n", path)
		}
	}
	return b.String() + code
}

// uses returns statements that use each variable which the piece declares, as its reader would.
func uses(t *testing.T, piece string) string {
	t.Helper()
	f, err := parser.ParseFile(token.NewFileSet(), "", "package p\nfunc _() {\n"+piece+"\n}", parser.SkipObjectResolution)
	if err != nil {
		t.Fatalf("%v in\n%s", err, piece)
	}
	var b strings.Builder
	for _, statement := range f.Decls[0].(*ast.FuncDecl).Body.List {
		if a, ok := statement.(*ast.AssignStmt); ok && a.Tok == token.DEFINE {
			for _, name := range a.Lhs {
				fmt.Fprintf(&b, "_ = %s\n", name.(*ast.Ident).Name)
			}
		}
	}
	return b.String()
}
