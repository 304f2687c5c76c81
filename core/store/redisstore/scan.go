package redisstore

import (
	"context"
	"fmt"
	"iter"
	"strings"
	"sync"

	"github.com/redis/go-redis/v9"
)

// scanCount is how many keys of the database a SCAN looks at, about.
const scanCount = 1000

// Scan walks the whole database, on a Cluster that of every master, on a Ring that of every shard that
// is up. It shows stale entries, and what has been Gone for as long as the clocks differ.
func (s *Store) Scan(ctx context.Context, prefix string) iter.Seq2[string, error] {
	return func(yield func(string, error) bool) {
		for p, err := range s.pages(ctx, "scan", prefix) {
			if err != nil {
				yield("", err)
				return
			}
			for _, name := range p.names {
				key, _ := unescape(name[len(s.opts.Prefix):])
				if !yield(key, nil) {
					return
				}
			}
		}
	}
}

// Clear walks like Scan, and removes what it finds page by page. OpTimeout is the limit of each page, not
// of the whole. Other stores' keys are not touched, nor are keys that no store can have written.
func (s *Store) Clear(ctx context.Context, prefix string) error {
	for p, err := range s.pages(ctx, "clear", prefix) {
		if err != nil {
			return err
		}
		if len(p.names) == 0 {
			continue
		}
		if err := s.do(ctx, "clear", func(ctx context.Context) error { return s.unlink(ctx, p) }); err != nil {
			return err
		}
	}
	return nil
}

// unlink removes the keys of a page. On a Cluster they lie on different slots, which may have moved.
func (s *Store) unlink(ctx context.Context, p page) error {
	if !p.sharded {
		return p.node.Unlink(ctx, p.names...).Err()
	}
	_, err := s.client.Pipelined(ctx, func(pipe redis.Pipeliner) error {
		for _, n := range p.names {
			pipe.Unlink(ctx, n)
		}
		return nil
	})
	return err
}

// page is what one SCAN has found of ours on one server.
type page struct {
	server
	names []string
}

// server is one that can be scanned.
type server struct {
	node    redis.Cmdable
	sharded bool // its keys are those of many slots
}

// pages yields the names that begin with prefix, server by server. After an error it ends.
func (s *Store) pages(ctx context.Context, op, prefix string) iter.Seq2[page, error] {
	return func(yield func(page, error) bool) {
		match := globEscape(s.name(prefix)) + "*"
		servers, err := s.servers(ctx, op)
		if err != nil {
			yield(page{}, err)
			return
		}
		for _, srv := range servers {
			for cursor := uint64(0); ; {
				p := page{server: srv}
				err := s.do(ctx, op, func(ctx context.Context) (err error) {
					p.names, cursor, err = srv.node.Scan(ctx, cursor, match, scanCount).Result()
					return err
				})
				if err != nil {
					yield(page{}, err)
					return
				}
				p.names = s.own(p.names)
				if !yield(p, nil) {
					return
				}
				if cursor == 0 {
					break
				}
			}
		}
	}
}

// own drops the names that are no key's form.
func (s *Store) own(names []string) []string {
	kept := names[:0]
	for _, n := range names {
		if form, ok := strings.CutPrefix(n, s.opts.Prefix); !ok {
			continue
		} else if _, ok := unescape(form); ok {
			kept = append(kept, n)
		}
	}
	return kept
}

// servers returns all servers that hold keys of ours.
func (s *Store) servers(ctx context.Context, op string) (all []server, err error) {
	var mu sync.Mutex
	add := func(sharded bool) func(context.Context, *redis.Client) error {
		return func(_ context.Context, c *redis.Client) error {
			mu.Lock()
			defer mu.Unlock()
			all = append(all, server{c, sharded})
			return nil
		}
	}
	err = s.do(ctx, op, func(ctx context.Context) error {
		switch c := s.client.(type) {
		case *redis.ClusterClient:
			return c.ForEachMaster(ctx, add(true))
		case *redis.Ring:
			return c.ForEachShard(ctx, add(false))
		default:
			all = []server{{s.client, !s.single}}
			return nil
		}
	})
	if err == nil && len(all) == 0 {
		err = fmt.Errorf("redisstore: %s: no server is up", op)
	}
	return all, err
}
