package cache

import (
	"errors"
	"strings"
)

// glob is a compiled pattern. Matching takes time linear in the product of both lengths at worst: there
// is no pattern that hangs it.
type glob struct {
	prefix string // the literal beginning, which a store can search by
	parts  []globPart
}

type globPart struct {
	star   bool
	any    bool // '?'
	negate bool
	ranges []byte // pairs lo, hi
}

var errPattern = errors.New("cache: pattern has an unclosed '[' or ends in '\\'")

func compileGlob(pattern string) (*glob, error) {
	g := &glob{}
	literal := true
	for i := 0; i < len(pattern); i++ {
		var p globPart
		switch c := pattern[i]; c {
		case '*':
			p.star = true
		case '?':
			p.any = true
		case '[':
			var ok bool
			if p, i, ok = compileSet(pattern, i); !ok {
				return nil, errPattern
			}
		case '\\':
			if i++; i == len(pattern) {
				return nil, errPattern
			}
			fallthrough
		default:
			p.ranges = []byte{pattern[i], pattern[i]}
			if literal {
				g.prefix += pattern[i : i+1]
			}
			g.parts = append(g.parts, p)
			continue
		}
		literal = false
		g.parts = append(g.parts, p)
	}
	return g, nil
}

// compileSet parses the set that begins at pattern[i] and returns the index of its closing bracket.
func compileSet(pattern string, i int) (p globPart, end int, ok bool) {
	i++
	if i < len(pattern) && (pattern[i] == '^' || pattern[i] == '!') {
		p.negate = true
		i++
	}
	for first := true; i < len(pattern); first = false {
		if pattern[i] == ']' && !first {
			return p, i, true
		}
		if pattern[i] == '\\' {
			if i++; i == len(pattern) {
				return p, 0, false
			}
		}
		lo, hi := pattern[i], pattern[i]
		i++
		if i+1 < len(pattern) && pattern[i] == '-' && pattern[i+1] != ']' {
			if i++; pattern[i] == '\\' {
				if i++; i == len(pattern) {
					return p, 0, false
				}
			}
			hi = pattern[i]
			i++
		}
		p.ranges = append(p.ranges, min(lo, hi), max(lo, hi))
	}
	return p, 0, false
}

func (p *globPart) matches(b byte) bool {
	if p.any {
		return true
	}
	for i := 0; i < len(p.ranges); i += 2 {
		if b >= p.ranges[i] && b <= p.ranges[i+1] {
			return !p.negate
		}
	}
	return p.negate
}

func (g *glob) match(s string) bool {
	if !strings.HasPrefix(s, g.prefix) {
		return false
	}
	parts, i, j := g.parts, 0, 0
	star, mark := -1, 0 // the last star, and how far what follows it has been tried
	for i < len(s) {
		switch {
		case j < len(parts) && parts[j].star:
			star, mark = j, i
			j++
		case j < len(parts) && parts[j].matches(s[i]):
			i, j = i+1, j+1
		case star >= 0:
			mark++
			i, j = mark, star+1
		default:
			return false
		}
	}
	for j < len(parts) && parts[j].star {
		j++
	}
	return j == len(parts)
}
