package arrows

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

const module = "github.com/strata-cache/strata"

// node is one package as the go command lists it: what it compiles with, tests left out.
type node struct {
	ImportPath string
	Imports    []string
	Standard   bool
	Module     *struct{ Path string }
}

// graph is packages by import path.
type graph map[string]node

// relative returns the path within the kit; ok is false for a package of somebody else.
func relative(path string) (rel string, ok bool) {
	if path == module {
		return ".", true
	}
	return strings.CutPrefix(path, module+"/")
}

func match(pattern, rel string) bool {
	if pattern == "..." {
		return true
	}
	if below, ok := strings.CutSuffix(pattern, "/..."); ok {
		return rel == below || strings.HasPrefix(rel, below+"/")
	}
	if below, ok := strings.CutSuffix(pattern, "/*"); ok {
		return strings.HasPrefix(rel, below+"/")
	}
	return pattern == rel
}

func matchAny(patterns []string, rel string) bool {
	return slices.ContainsFunc(patterns, func(p string) bool { return match(p, rel) })
}

// within reports whether path is the module or a package of it.
func within(path, module string) bool {
	return path == module || strings.HasPrefix(path, module+"/")
}

// visible returns the patterns that a row sees, directly or through another row.
func visible(row layer) []string {
	var all []string
	todo := slices.Clone(row.sees)
	for len(todo) > 0 {
		p := todo[0]
		todo = todo[1:]
		if slices.Contains(all, p) {
			continue
		}
		all = append(all, p)
		for _, l := range layers {
			if l.packages == p {
				todo = append(todo, l.sees...)
			}
		}
	}
	return all
}

// check returns the violations in g, sorted.
func check(g graph) []string {
	var bad []string
	for path, n := range g {
		rel, own := relative(path)
		if !own {
			continue
		}
		bad = append(bad, checkLayer(g, rel)...)
		bad = append(bad, checkLeaves(n, rel)...)
		bad = append(bad, checkClosure(g, rel)...)
		bad = append(bad, checkBans(n, rel)...)
	}
	slices.Sort(bad)
	return bad
}

// checkLayer follows the imports of rel, through helpers below internal as far as they go, and compares
// what it reaches with the row of rel.
func checkLayer(g graph, rel string) []string {
	i := slices.IndexFunc(layers, func(l layer) bool { return match(l.packages, rel) })
	if i < 0 {
		return []string{rel + " has no row in layers"}
	}
	row := layers[i]
	allowed := visible(row)
	var bad []string
	walk(g, rel, func(to string, chain []string) bool {
		target, own := relative(to)
		switch {
		case !own:
			return false
		case match("internal/...", target):
			return true
		case !matchAny(allowed, target):
			bad = append(bad, fmt.Sprintf("%s: %s does not see %s", strings.Join(chain, " -> "), row.packages, target))
		}
		return false
	})
	return bad
}

func checkLeaves(n node, rel string) []string {
	if match("examples/...", rel) {
		return nil
	}
	var bad []string
	for _, path := range n.Imports {
		if _, own := relative(path); own || isStandard(path) {
			continue
		}
		i := slices.IndexFunc(leaves, func(l leaf) bool { return within(path, l.module) })
		switch {
		case i < 0:
			bad = append(bad, fmt.Sprintf("%s -> %s: the dependency is not in leaves", rel, path))
		case !matchAny(leaves[i].in, rel):
			bad = append(bad, fmt.Sprintf("%s -> %s: it belongs in %s alone", rel, path, strings.Join(leaves[i].in, ", ")))
		}
	}
	return bad
}

func checkClosure(g graph, rel string) []string {
	var bad []string
	for _, c := range closures {
		if !match(c.packages, rel) {
			continue
		}
		walk(g, rel, func(to string, chain []string) bool {
			n := g[to]
			_, own := relative(to)
			switch {
			case own:
				return true
			case slices.Contains(c.not, to):
				bad = append(bad, fmt.Sprintf("%s: %s compiles without it", strings.Join(chain, " -> "), rel))
				return false
			case n.Standard:
				return len(c.not) > 0
			case n.Module == nil || !slices.Contains(c.modules, n.Module.Path):
				bad = append(bad, fmt.Sprintf("%s: %s compiles without that module", strings.Join(chain, " -> "), rel))
				return false
			}
			return true
		})
	}
	return bad
}

func checkBans(n node, rel string) []string {
	var bad []string
	for _, b := range bans {
		if match(b.packages, rel) && !matchAny(b.except, rel) && slices.Contains(n.Imports, b.imports) {
			bad = append(bad, fmt.Sprintf("%s -> %s: nothing in %s imports it", rel, b.imports, b.packages))
		}
	}
	return bad
}

// walk visits what rel imports, nearest first and each package once, with the chain that led there. It
// goes on behind a package where visit says so.
func walk(g graph, rel string, visit func(to string, chain []string) bool) {
	type step struct {
		path  string
		chain []string
	}
	seen := map[string]bool{module + "/" + rel: true}
	todo := []step{{module + "/" + rel, []string{rel}}}
	for len(todo) > 0 {
		s := todo[0]
		todo = todo[1:]
		for _, to := range g[s.path].Imports {
			if seen[to] {
				continue
			}
			seen[to] = true
			name := to
			if r, own := relative(to); own {
				name = r
			}
			chain := append(slices.Clip(s.chain), name)
			if visit(to, chain) {
				todo = append(todo, step{to, chain})
			}
		}
	}
}

// isStandard tells by the path, as the go command does for what is not a module's: the first element
// of a module's path holds a dot.
func isStandard(path string) bool {
	first, _, _ := strings.Cut(path, "/")
	return !strings.Contains(first, ".")
}

// missing returns the expected packages that are not in g.
func missing(g graph) []string {
	return slices.DeleteFunc(slices.Clone(expected), func(rel string) bool {
		_, ok := g[module+"/"+rel]
		return ok
	})
}

// add returns a copy of g with one more import; packages of the kit that are not there yet are made.
func (g graph) add(from, to string) graph {
	g = maps.Clone(g)
	n := g[from]
	n.ImportPath = from
	n.Imports = append(slices.Clip(n.Imports), to)
	g[from] = n
	if _, ok := g[to]; !ok {
		g[to] = node{ImportPath: to, Standard: isStandard(to)}
	}
	return g
}
