package memstore

import (
	"context"
	"iter"
	"strings"
)

// checkEvery is how many keys are walked between two looks at the context.
const checkEvery = 256

// Scan walks all keys of the store, whatever the prefix. The loop may use the store.
func (s *Store) Scan(ctx context.Context, prefix string) iter.Seq2[string, error] {
	return func(yield func(string, error) bool) {
		if err := s.check(); err != nil {
			yield("", err)
			return
		}
		walked := 0
		for i := range s.parts {
			for k := range s.parts[i].cache.Keys() {
				if walked%checkEvery == 0 && ctx.Err() != nil {
					yield("", ctx.Err())
					return
				}
				walked++
				if strings.HasPrefix(k, prefix) && !yield(k, nil) {
					return
				}
			}
		}
	}
}

// Clear removes the entries whose keys begin with prefix. It walks all keys and takes the lock of each
// that it removes, so that a Touch or an Incr which has seen an entry cannot bring it back.
func (s *Store) Clear(ctx context.Context, prefix string) error {
	if err := s.check(); err != nil {
		return err
	}
	for k, err := range s.Scan(ctx, prefix) {
		if err != nil {
			return err
		}
		l := s.lock(k)
		s.remove(k)
		l.Unlock()
	}
	return s.check()
}
