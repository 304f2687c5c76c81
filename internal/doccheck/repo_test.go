package doccheck

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

const root = "../.."

// walk calls visit for each file of the repository, with its slash-separated path. Build output,
// test data and checksums are left out.
func walk(t *testing.T, visit func(path string)) {
	t.Helper()
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(root, path)
		if err != nil {
			return err
		}
		rel = filepath.ToSlash(rel)
		switch {
		case d.IsDir() && (rel == "bin" || rel == "dist" || rel == ".git" || d.Name() == "testdata"):
			return filepath.SkipDir
		case d.Type().IsRegular() && d.Name() != "go.sum":
			visit(rel)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

func parse(t *testing.T, fset *token.FileSet, path string, src any) *ast.File {
	t.Helper()
	f, err := parser.ParseFile(fset, path, src, parser.ParseComments|parser.SkipObjectResolution)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// repoFile is one Go file of the repository.
type repoFile struct {
	path string
	test bool
	*ast.File
}

func goFiles(t *testing.T) (*token.FileSet, []repoFile) {
	t.Helper()
	fset := token.NewFileSet()
	var files []repoFile
	walk(t, func(path string) {
		if strings.HasSuffix(path, ".go") {
			src, err := os.ReadFile(filepath.Join(root, path))
			if err != nil {
				t.Fatal(err)
			}
			files = append(files, repoFile{path, strings.HasSuffix(path, "_test.go"), parse(t, fset, path, src)})
		}
	})
	if len(files) < 50 {
		t.Fatalf("%d Go files found: the walk does not see the repository", len(files))
	}
	return fset, files
}

func TestEveryExportedNameIsDocumented(t *testing.T) {
	fset, files := goFiles(t)
	nested := map[string]bool{} // folders of other modules
	walk(t, func(path string) {
		if dir, ok := strings.CutSuffix(path, "/go.mod"); ok {
			nested[dir] = true
		}
	})
	packages := map[string][]*ast.File{}
	for _, f := range files {
		dir := filepath.ToSlash(filepath.Dir(f.path))
		top, _, _ := strings.Cut(dir, "/")
		if !f.test && top != "internal" && !within(nested, dir) {
			packages[dir] = append(packages[dir], f.File)
		}
	}
	for dir, files := range packages {
		for _, v := range undocumented(fset, dir, files) {
			t.Error(v)
		}
	}
}

// within reports whether dir is one of dirs, or below one.
func within(dirs map[string]bool, dir string) bool {
	for d := range dirs {
		if dir == d || strings.HasPrefix(dir, d+"/") {
			return true
		}
	}
	return false
}

func TestNothingIsLeftOver(t *testing.T) {
	walk(t, func(path string) {
		if strings.HasSuffix(path, "_test.go") {
			return
		}
		content, err := os.ReadFile(filepath.Join(root, path))
		if err != nil {
			t.Fatal(err)
		}
		for _, v := range leftovers(path, content) {
			t.Error(v)
		}
	})
}

func TestNoTestSleeps(t *testing.T) {
	fset, files := goFiles(t)
	for _, f := range files {
		if f.test {
			for _, v := range sleeps(fset, f.File) {
				t.Error(v)
			}
		}
	}
}

func TestNoTestIsSkipped(t *testing.T) {
	fset, files := goFiles(t)
	for _, f := range files {
		if !strings.HasPrefix(f.path, "internal/testserver/") {
			for _, v := range skips(fset, f.File) {
				t.Error(v)
			}
		}
	}
}
