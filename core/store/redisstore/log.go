package redisstore

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/strata-cache/strata/core/store"
)

// maxScriptBytes is how much one script is given to store beside its first entry, so that the server does not
// keep others waiting for long.
const maxScriptBytes = 4 << 20

// Append is one script where one server holds all keys and there are at most 1,000 of each kind, which are no
// larger than a few MiB. Otherwise, and on a Cluster or Ring, it is several in the same order: of the deletes
// where there are any, after a look at the log's end; of the Add; of the record; of the sets. Times are
// compared by this process's clock. A Beyond repairs the log, so with it nothing is ErrLogLost.
//
// An Add that Set would refuse is an error, and nothing is recorded; a damaged entry in its way costs one more
// script.
func (s *Store) Append(ctx context.Context, c store.Change, after store.Position) (store.Appended, error) {
	w, err := s.prepare(&c, after)
	if err != nil {
		return store.Appended{}, err
	}
	var a store.Appended
	if s.single && w.isSmall() {
		a, err = s.appendOnce(ctx, w)
	} else {
		a, err = s.appendInSteps(ctx, w)
	}
	if err == nil && w.addRefused != nil {
		a.Added, err = false, w.addRefused
	}
	return a, err
}

// work is a Change in the form in which scripts are given it.
type work struct {
	*store.Change
	after, behind, beyond string // ids; beyond may be nothing
	records               []any  // of each the number of its fields, and those

	add        form
	addSeen    string // what the add may overwrite
	addRefused error
	sets       []form
	refused    []error // one for each set
}

// prepare checks and encodes c.
func (s *Store) prepare(c *store.Change, after store.Position) (*work, error) {
	w := &work{Change: c, after: streamID(after)}
	behind, ok := next(after)
	if !ok {
		return nil, errors.New("redisstore: append: no position lies behind the caller's")
	}
	w.behind = streamID(behind)
	if !c.Beyond.IsZero() {
		beyond := c.Beyond
		if after.Compare(beyond) > 0 {
			beyond = after
		}
		if beyond, ok = next(beyond); !ok {
			return nil, errors.New("redisstore: append: no position lies behind Beyond")
		}
		w.beyond = streamID(beyond)
	}
	now := time.Now().UnixMilli()
	if c.Add != nil {
		var err error
		if w.add, err = s.formOf(c.Add.Key, c.Add.Entry, now); err != nil {
			w.addRefused = fmt.Errorf("redisstore: append: %w", err)
			w.Change = &store.Change{Delete: c.Delete, Add: c.Add, Beyond: c.Beyond}
			return w, nil
		}
	}
	w.sets, w.refused = make([]form, len(c.Set)), make([]error, len(c.Set))
	for i, it := range c.Set {
		w.sets[i], w.refused[i] = s.formOf(it.Key, it.Entry, now)
	}
	for at := 0; at < len(c.Items); at += recordItems {
		head := len(w.records)
		w.records = append(w.records, 0)
		for i := at; i < min(at+recordItems, len(c.Items)); i++ {
			var err error
			if w.records, err = appendItem(w.records, &c.Items[i]); err != nil {
				return nil, err
			}
		}
		w.records[head] = len(w.records) - head - 1
	}
	return w, nil
}

// isSmall reports whether one script may do all of w.
func (w *work) isSmall() bool {
	bytes := len(w.add.data)
	for i, f := range w.sets {
		if i > 0 || w.Add != nil {
			bytes += len(f.data)
		}
	}
	return len(w.Delete) <= batchSize && len(w.Set) <= batchSize && bytes <= maxScriptBytes
}

// logArgs begins the arguments of appendScript.
func (s *Store) logArgs(w *work, deletes, adds, sets int) []any {
	length := s.opts.LogLength
	if length == 0 {
		length = math.MaxInt64
	}
	return []any{time.Now().UnixMilli(), s.channels(), w.after, w.behind, w.beyond, length, deletes, adds, sets}
}

// appendOnce is one script, and one more for each damaged entry that is in the way of the add.
func (s *Store) appendOnce(ctx context.Context, w *work) (store.Appended, error) {
	deletes, deleted := w.Delete, 0
	for first := true; ; first = false {
		adds := 0
		names := []string{s.logKey()}
		for _, k := range deletes {
			names = append(names, s.guarded(k)...)
		}
		if w.Add != nil {
			adds = 1
			names = append(names, s.guarded(w.Add.Key)...)
		}
		for _, it := range w.Set {
			names = append(names, s.guarded(it.Key)...)
		}
		args := s.logArgs(w, len(deletes), adds, len(w.Set))
		if w.Add != nil {
			args = append(args, w.addSeen, w.add.data, w.add.px)
		}
		for _, f := range w.sets {
			args = append(args, f.data, f.px)
		}
		a, blocked, noRoom, err := s.runAppend(ctx, names, append(args, w.records...))
		a.Deleted += deleted
		switch {
		case err != nil:
			return a, err
		case blocked == nil:
			a.Added = w.Add != nil
			s.fail(ctx, &a, w, slices.Repeat([]error{noRoom}, len(w.Set)))
			return a, nil
		}
		if _, err := entryOf(w.Add.Key, *blocked, time.Now().UnixMilli()); !first || !errors.Is(err, store.ErrCorrupt) {
			return a, nil
		}
		// What was deleted is deleted; an entry that others have stored meanwhile is newer.
		w.addSeen, deletes, deleted = *blocked, nil, a.Deleted
	}
}

// replyError is an error of the server that a script has caught.
type replyError string

func (e replyError) Error() string { return strings.TrimPrefix(string(e), "-") }
func (replyError) RedisError()     {}

// runAppend runs appendScript. blocked is what is in the way of the add, if it was not stored; noRoom is why
// no set was.
func (s *Store) runAppend(
	ctx context.Context, names []string, args []any,
) (a store.Appended, blocked *string, noRoom, err error) {
	var reply []any
	err = s.do(ctx, "append", func(ctx context.Context) (err error) {
		reply, err = appendScript.Run(ctx, s.client, names, args...).Slice()
		return err
	})
	if err != nil {
		return a, nil, nil, err
	}
	unexpected := fmt.Errorf("redisstore: append: unexpected reply of length %d", len(reply))
	if len(reply) == 0 {
		return a, nil, nil, unexpected
	}
	if reply[0] == int64(appendLost) {
		return a, nil, nil, fmt.Errorf("redisstore: append: %w", store.ErrLogLost)
	}
	if len(reply) < 3 {
		return a, nil, nil, unexpected
	}
	deleted, _ := reply[1].(int64)
	a.Deleted = int(deleted)
	if data, ok := reply[2].(string); ok {
		return a, &data, nil, nil
	}
	if len(reply) != 5 {
		return a, nil, nil, unexpected
	}
	if a.Records, err = recordsOf(reply[2]); err != nil {
		return a, nil, nil, fmt.Errorf("redisstore: append: %w", err)
	}
	a.Gap = reply[3] == int64(1)
	if n := len(a.Records); n > 0 {
		s.reader.know(a.Records[n-1].Position)
	}
	if text, _ := reply[4].(string); text != "" {
		noRoom = replyError(text)
	}
	return a, nil, noRoom, nil
}

// fail notes in a which sets were refused, or not carried out: errs has one for each.
func (s *Store) fail(ctx context.Context, a *store.Appended, w *work, errs []error) {
	var all distinct
	for i, it := range w.Set {
		err := w.refused[i]
		if err != nil {
			err = fmt.Errorf("redisstore: append: %w", err)
		}
		if errs[i] != nil {
			err = errors.Join(err, s.failure(ctx, "append", errs[i]))
		}
		if err != nil {
			a.Failed = append(a.Failed, it.Key)
			all.add(err)
		}
	}
	a.Err = all.join()
}

// LogEnds is one round trip.
func (s *Store) LogEnds(ctx context.Context) (first, last store.Record, err error) {
	var replies [2]*redis.Cmd
	err = s.do(ctx, "log ends", func(ctx context.Context) error {
		s.pipeline(ctx, func(p redis.Pipeliner) {
			replies[0] = p.Do(ctx, "xrange", s.logKey(), "-", "+", "count", 1)
			replies[1] = p.Do(ctx, "xrevrange", s.logKey(), "+", "-", "count", 1)
		})
		return errors.Join(replies[0].Err(), replies[1].Err())
	})
	if err != nil {
		return first, last, err
	}
	ends := [...]*store.Record{&first, &last}
	for i, r := range replies {
		records, err := recordsOf(r.Val())
		if err != nil {
			return store.Record{}, store.Record{}, fmt.Errorf("redisstore: log ends: %w", err)
		}
		if len(records) > 0 {
			*ends[i] = records[0]
		}
	}
	if first.Position.IsZero() || last.Position.IsZero() { // it was made, or went, between the two
		first, last = store.Record{}, store.Record{}
	}
	s.reader.know(last.Position)
	return first, last, nil
}
