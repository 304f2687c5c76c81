package doccheck

import (
	"bytes"
	"fmt"
	"go/ast"
	"go/token"
	"regexp"
	"slices"
)

// leftover matches the marks of unfinished work.
var leftover = regexp.MustCompile(`\b(TODO|FIXME|XXX)\b`)

// leftovers returns the lines of a text file that hold such a mark; binary files have none.
func leftovers(path string, content []byte) []string {
	if bytes.IndexByte(content, 0) >= 0 {
		return nil
	}
	var bad []string
	line := 0
	for l := range bytes.Lines(content) {
		line++
		if m := leftover.Find(l); m != nil {
			bad = append(bad, fmt.Sprintf("%s:%d: %s: do it or file it", path, line, m))
		}
	}
	return bad
}

// sleeps returns the calls of time.Sleep in f, under whatever name the file imports it.
func sleeps(fset *token.FileSet, f *ast.File) []string {
	name := ""
	for _, i := range f.Imports {
		if i.Path.Value == `"time"` {
			name = "time"
			if i.Name != nil {
				name = i.Name.Name
			}
		}
	}
	if name == "" {
		return nil
	}
	var bad []string
	ast.Inspect(f, func(n ast.Node) bool {
		if s, ok := n.(*ast.SelectorExpr); ok && s.Sel.Name == "Sleep" {
			if x, ok := s.X.(*ast.Ident); ok && x.Name == name {
				bad = append(bad, fmt.Sprintf("%s: a test sleeps: use testing/synctest", fset.Position(s.Pos())))
			}
		}
		return true
	})
	return bad
}

// skips returns the places in f where a test is skipped: Skip, Skipf or SkipNow of something called
// like a test. Skipping a draw of package rapid is another matter.
func skips(fset *token.FileSet, f *ast.File) []string {
	draws := drawScopes(f)
	var bad []string
	ast.Inspect(f, func(n ast.Node) bool {
		s, ok := n.(*ast.SelectorExpr)
		if !ok || s.Sel.Name != "Skip" && s.Sel.Name != "Skipf" && s.Sel.Name != "SkipNow" {
			return true
		}
		var name string
		switch x := s.X.(type) {
		case *ast.Ident:
			name = x.Name
		case *ast.SelectorExpr:
			name = x.Sel.Name
		}
		switch name {
		case "t", "b", "f", "tb", "T", "B", "F", "TB":
			if !slices.ContainsFunc(draws, func(d scope) bool { return d.name == name && d.begin <= s.Pos() && s.Pos() < d.end }) {
				bad = append(bad, fmt.Sprintf("%s: a test is skipped: only internal/testserver does that", fset.Position(s.Pos())))
			}
		}
		return true
	})
	return bad
}

// scope is where a parameter is known.
type scope struct {
	name       string
	begin, end token.Pos
}

// drawScopes returns the bodies of functions that take a *rapid.T, under the parameter's name.
func drawScopes(f *ast.File) []scope {
	var all []scope
	ast.Inspect(f, func(n ast.Node) bool {
		var params *ast.FieldList
		var body *ast.BlockStmt
		switch fn := n.(type) {
		case *ast.FuncDecl:
			params, body = fn.Type.Params, fn.Body
		case *ast.FuncLit:
			params, body = fn.Type.Params, fn.Body
		}
		if body == nil {
			return true
		}
		for _, p := range params.List {
			if isRapidT(p.Type) {
				for _, name := range p.Names {
					all = append(all, scope{name.Name, body.Pos(), body.End()})
				}
			}
		}
		return true
	})
	return all
}

func isRapidT(e ast.Expr) bool {
	star, ok := e.(*ast.StarExpr)
	if !ok {
		return false
	}
	sel, ok := star.X.(*ast.SelectorExpr)
	if !ok {
		return false
	}
	x, ok := sel.X.(*ast.Ident)
	return ok && x.Name == "rapid" && sel.Sel.Name == "T"
}
