package doccheck

import (
	"fmt"
	"go/ast"
	"go/token"
	"strings"
)

// undocumented returns what has no doc comment in the files of one package, tests left out: the package,
// its exported constants, variables, functions and types, their exported methods, and the methods that
// an exported interface names. A comment on a group of constants, variables or types stands for its
// members, and so does one at the end of a member's line; an interface of one method is documented as a
// whole.
func undocumented(fset *token.FileSet, dir string, files []*ast.File) []string {
	var bad []string
	report := func(pos token.Pos, format string, args ...any) {
		p := fset.Position(pos)
		bad = append(bad, fmt.Sprintf("%s:%d: %s has no doc comment", p.Filename, p.Line, fmt.Sprintf(format, args...)))
	}
	documented := false
	for _, f := range files {
		documented = documented || says(f.Doc)
		for _, decl := range f.Decls {
			switch d := decl.(type) {
			case *ast.FuncDecl:
				if name, ok := exportedFunc(d); ok && !says(d.Doc) {
					report(d.Pos(), "func %s", name)
				}
			case *ast.GenDecl:
				for _, spec := range d.Specs {
					checkSpec(d, spec, report)
				}
			}
		}
	}
	if !documented {
		bad = append(bad, dir+": the package has no comment")
	}
	return bad
}

func checkSpec(group *ast.GenDecl, spec ast.Spec, report func(token.Pos, string, ...any)) {
	switch s := spec.(type) {
	case *ast.ValueSpec:
		for _, name := range s.Names {
			if name.IsExported() && !says(group.Doc) && !says(s.Doc) && !says(s.Comment) {
				report(name.Pos(), "%s %s", group.Tok, name.Name)
			}
		}
	case *ast.TypeSpec:
		if !s.Name.IsExported() {
			return
		}
		if !says(group.Doc) && !says(s.Doc) && !says(s.Comment) {
			report(s.Pos(), "type %s", s.Name.Name)
		}
		if i, ok := s.Type.(*ast.InterfaceType); ok && len(i.Methods.List) > 1 {
			for _, m := range i.Methods.List {
				if len(m.Names) == 1 && m.Names[0].IsExported() && !says(m.Doc) && !says(m.Comment) {
					report(m.Pos(), "method %s.%s", s.Name.Name, m.Names[0].Name)
				}
			}
		}
	}
}

// exportedFunc returns the name under which d can be reached from outside, if it can.
func exportedFunc(d *ast.FuncDecl) (string, bool) {
	if !d.Name.IsExported() {
		return "", false
	}
	if d.Recv == nil {
		return d.Name.Name, true
	}
	recv := d.Recv.List[0].Type
	for {
		switch t := recv.(type) {
		case *ast.StarExpr:
			recv = t.X
		case *ast.ParenExpr:
			recv = t.X
		case *ast.IndexExpr:
			recv = t.X
		case *ast.IndexListExpr:
			recv = t.X
		case *ast.Ident:
			return t.Name + "." + d.Name.Name, t.IsExported()
		default:
			return "", false
		}
	}
}

// says reports whether a comment holds words; a directive is none.
func says(doc *ast.CommentGroup) bool {
	return doc != nil && strings.TrimSpace(doc.Text()) != ""
}
