package refresh

import "github.com/strata-cache/strata/core/store"

// item is a job in the queue.
type item struct {
	Job
	next *item
}

const ranks = 4

// rank is the line that a priority stands in, the lowest first.
func rank(p store.Priority) int {
	switch p {
	case store.PriorityLow:
		return 0
	case store.PriorityImportant:
		return 2
	case store.PriorityCritical:
		return 3
	default:
		return 1
	}
}

// lines are the waiting jobs: one line for each rank, first in, first out.
type lines struct {
	head, tail [ranks]*item
	n          int
}

func (l *lines) push(it *item) {
	r := rank(it.Priority)
	if l.tail[r] == nil {
		l.head[r] = it
	} else {
		l.tail[r].next = it
	}
	l.tail[r] = it
	l.n++
}

// pop takes out what is to run next, or returns nil.
func (l *lines) pop() *item {
	for r := ranks - 1; r >= 0; r-- {
		if l.head[r] != nil {
			return l.take(r)
		}
	}
	return nil
}

// shed takes out the oldest of the lowest rank, if that is not above limit; otherwise it returns nil.
func (l *lines) shed(limit int) *item {
	for r := range limit + 1 {
		if l.head[r] != nil {
			return l.take(r)
		}
	}
	return nil
}

func (l *lines) take(r int) *item {
	it := l.head[r]
	if l.head[r] = it.next; it.next == nil {
		l.tail[r] = nil
	}
	it.next = nil
	l.n--
	return it
}
