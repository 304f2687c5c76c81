package doccheck

import (
	"go/ast"
	"go/token"
	"slices"
	"strings"
	"testing"
)

func TestUndocumented(t *testing.T) {
	tests := []struct {
		name string
		src  string
		want string // what is reported, or nothing
	}{
		{"a package", "package p", "the package"},
		{"a documented package", "// Package p is.\npackage p", ""},
		{"a directive is no comment", "//go:build linux\n\npackage p", "the package"},
		{"a function", "// Package p is.\npackage p\nfunc F() {}", "func F"},
		{"a documented function", "// Package p is.\npackage p\n// F does.\nfunc F() {}", ""},
		{"an unexported function", "// Package p is.\npackage p\nfunc f() {}", ""},
		{"a type", "// Package p is.\npackage p\ntype T int", "type T"},
		{"a method", "// Package p is.\npackage p\n// T is.\ntype T int\nfunc (T) M() {}", "func T.M"},
		{"a method of a generic type", "// Package p is.\npackage p\n// T is.\ntype T[K, V any] struct{}\nfunc (t *T[K, V]) M() {}", "func T.M"},
		{"a method nobody can reach", "// Package p is.\npackage p\ntype t int\nfunc (t) M() {}", ""},
		{"a method of an interface", "// Package p is.\npackage p\n// T is.\ntype T interface{ M(); N() }", "method T.M"},
		{"the method of an interface", "// Package p is.\npackage p\n// T is.\ntype T interface{ M() }", ""},
		{"an embedded interface", "// Package p is.\npackage p\n// T is.\ntype T interface { error; comparable }", ""},
		{"a constant", "// Package p is.\npackage p\nconst C = 1", "const C"},
		{"a variable in a group", "// Package p is.\npackage p\nvar (\n\tA = 1 // is\n\tB = 2\n)", "var B"},
		{"a documented group", "// Package p is.\npackage p\n// Values.\nvar (\n\tA = 1\n\tB = 2\n)", ""},
		{"a type in a group", "// Package p is.\npackage p\ntype (\n\t// A is.\n\tA int\n\tB int\n)", "type B"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			fset := token.NewFileSet()
			bad := undocumented(fset, "p", []*ast.File{parse(t, fset, "p.go", tt.src)})
			checkReport(t, bad, tt.want)
		})
	}
}

func TestLeftovers(t *testing.T) {
	tests := []struct{ name, content, want string }{
		{"to do", "// a\n// TODO: b\n", "f:2: TODO"},
		{"to mend", "FIXME(me) later", "f:1: FIXME"},
		{"a mark", "# XXX", "f:1: XXX"},
		{"part of a word", "mktemp XXXXXX TODOS", ""},
		{"lower case", "todo lists are an example", ""},
		{"binary", "\x00 TODO ", ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			checkReport(t, leftovers("f", []byte(tt.content)), tt.want)
		})
	}
}

func TestSleeps(t *testing.T) {
	tests := []struct{ name, src, want string }{
		{"plain", "package p\nimport \"time\"\nfunc f() { time.Sleep(1) }", "p.go:3"},
		{"renamed", "package p\nimport clock \"time\"\nfunc f() { clock.Sleep(1) }", "p.go:3"},
		{"as a value", "package p\nimport \"time\"\nvar f = time.Sleep", "p.go:3"},
		{"another's", "package p\nfunc f() { time.Sleep(1) }", ""},
		{"in a string", "package p\nimport \"time\"\nvar s, d = \"time.Sleep(1)\", time.Second", ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			fset := token.NewFileSet()
			checkReport(t, sleeps(fset, parse(t, fset, "p.go", tt.src)), tt.want)
		})
	}
}

func TestSkips(t *testing.T) {
	tests := []struct{ name, src, want string }{
		{"skip", "package p\nfunc f() { t.Skip() }", "p.go:2"},
		{"skipf of a benchmark", "package p\nfunc f() { b.Skipf(`x`) }", "p.go:2"},
		{"of a field", "package p\nfunc f() { box.t.SkipNow() }", "p.go:2"},
		{"of a draw", "package p\nfunc f(t *rapid.T) { t.Skip() }", ""},
		{"beside a draw", "package p\nfunc f(t *testing.T) {\nrapid.Check(t, func(t *rapid.T) { t.Skip() })\nt.Skip()\n}", "p.go:4"},
		{"an option", "package p\nvar o = Options{Skip: skip}\nvar s = opts.Skip(r)", ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			fset := token.NewFileSet()
			checkReport(t, skips(fset, parse(t, fset, "p.go", tt.src)), tt.want)
		})
	}
}

// checkReport checks that want is reported, or nothing where it is empty.
func checkReport(t *testing.T, bad []string, want string) {
	t.Helper()
	if want == "" && len(bad) > 0 {
		t.Errorf("reported %q, want nothing", bad)
	}
	if want != "" && !slices.ContainsFunc(bad, func(v string) bool { return strings.Contains(v, want) }) {
		t.Errorf("reported %q, want %q", bad, want)
	}
}
