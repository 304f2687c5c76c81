package msgpack

import (
	"bytes"
	"slices"
)

// sortMaps appends b, which holds one value, to dst with the entries of every map in the order of their
// bytes. No key is the beginning of another, so this is the order of the keys.
func sortMaps(dst, b []byte) ([]byte, error) {
	s := sorter{in: b, out: dst}
	if err := s.value(0); err != nil {
		return nil, err
	}
	if len(s.in) > 0 {
		return nil, errMalformed
	}
	return s.out, nil
}

type sorter struct {
	in, out []byte
	spare   []byte
}

// value moves one value from in to out.
func (s *sorter) value(depth int) error {
	if depth > maxDepth {
		return errDepth
	}
	t, err := next(s.in)
	if err != nil {
		return err
	}
	s.out = append(s.out, s.in[:t.size]...)
	s.in = s.in[t.size:]
	if !t.isMap {
		for range t.children {
			if err := s.value(depth + 1); err != nil {
				return err
			}
		}
		return nil
	}
	starts := make([]int, t.children/2) // where the entries begin in out
	for i := range starts {
		starts[i] = len(s.out)
		for range 2 {
			if err := s.value(depth + 1); err != nil {
				return err
			}
		}
	}
	s.sort(starts)
	return nil
}

// sort puts the entries that begin at starts, and reach to the end of out, in order.
func (s *sorter) sort(starts []int) {
	if len(starts) < 2 {
		return
	}
	entries := make([][]byte, len(starts))
	for i, at := range starts {
		end := len(s.out)
		if i+1 < len(starts) {
			end = starts[i+1]
		}
		entries[i] = s.out[at:end]
	}
	if slices.IsSortedFunc(entries, bytes.Compare) {
		return
	}
	slices.SortFunc(entries, bytes.Compare)
	s.spare = s.spare[:0]
	for _, e := range entries {
		s.spare = append(s.spare, e...)
	}
	copy(s.out[starts[0]:], s.spare)
}
