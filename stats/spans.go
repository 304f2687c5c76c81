package stats

import "time"

// spans is the union of intervals of time, which are added in the order of their ends.
type spans struct {
	open []span // disjoint, in order
	// closed is the length of those that have left open, all of which end at floor at the latest.
	closed, floor time.Duration
}

type span struct{ from, to time.Duration }

// maxOpen bounds open. An interval that reaches back behind so many gaps is cut off there.
const maxOpen = 64

func (s *spans) add(from, to time.Duration) {
	from = max(from, s.floor)
	n := len(s.open)
	for n > 0 && s.open[n-1].to >= from {
		n--
		from, to = min(from, s.open[n].from), max(to, s.open[n].to)
	}
	if to <= from {
		return
	}
	s.open = append(s.open[:n], span{from, to})
	if len(s.open) > maxOpen {
		first := s.open[0]
		s.closed, s.floor = s.closed+first.to-first.from, first.to
		s.open = append(s.open[:0], s.open[1:]...)
	}
}

func (s *spans) total() time.Duration {
	sum := s.closed
	for _, o := range s.open {
		sum += o.to - o.from
	}
	return sum
}
