package redisstore

import (
	"encoding/hex"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/strata-cache/strata/core/store"
)

// The fields of a record, in the order in which they stand: the id of the record before it, then each item,
// its kind's letter with its name, and what modifies the item.
const (
	fieldPrev  = "p"
	fieldToken = "id"
	fieldFor   = "ms"
)

// kindFields are the fields of the kinds.
var kindFields = [...]string{
	store.InvalidateKey:    "k",
	store.ChangeKey:        "c",
	store.DropKey:          "d",
	store.InvalidateTag:    "t",
	store.ExpireTag:        "e",
	store.InvalidatePrefix: "a",
	store.HoldKey:          "hk",
	store.HoldTag:          "ht",
	store.ReleaseKey:       "rk",
	store.ReleaseTag:       "rt",
}

// kindOf returns the kind whose field it is.
func kindOf(field string) (store.InvalidationKind, bool) {
	for kind, f := range kindFields {
		if f == field && f != "" {
			return store.InvalidationKind(kind), true
		}
	}
	return 0, false
}

// appendItem appends the fields of it.
func appendItem(fields []any, it *store.Invalidation) ([]any, error) {
	if int(it.Kind) >= len(kindFields) || kindFields[it.Kind] == "" {
		return fields, fmt.Errorf("redisstore: append: an item of the unknown kind %d", it.Kind)
	}
	fields = append(fields, kindFields[it.Kind], it.Name)
	if !it.Token.IsZero() {
		fields = append(fields, fieldToken, hex.EncodeToString(it.Token[:]))
	}
	if ms := milliseconds(it.For); ms > 0 {
		fields = append(fields, fieldFor, ms)
	}
	return fields, nil
}

// everything is what a record says that cannot be read: nobody knows what it was about.
func everything() []store.Invalidation { return []store.Invalidation{{Kind: store.InvalidatePrefix}} }

// decodeRecord returns the record with the id and the fields. Fields that this version does not write mean
// everything. A record without an item is an origin, which has none before it; another one means everything.
func decodeRecord(id string, fields []string) (r store.Record, ok bool) {
	r.Position, ok = parseStreamID(id)
	if !ok {
		return store.Record{}, false
	}
	if len(fields) < 2 || fields[0] != fieldPrev {
		r.Items = everything()
		return r, true
	}
	prev, known := parseStreamID(fields[1])
	r.Prev = prev
	items, valid := decodeItems(fields[2:])
	if !known || !valid || len(items) == 0 && !prev.IsZero() {
		items = everything()
	}
	r.Items = items
	return r, true
}

// decodeItems returns the items that the fields consist of.
func decodeItems(fields []string) ([]store.Invalidation, bool) {
	if len(fields) == 0 {
		return nil, true
	}
	if len(fields)%2 != 0 {
		return nil, false
	}
	items := make([]store.Invalidation, 0, len(fields)/2)
	for pair := range slices.Chunk(fields, 2) {
		field, value := pair[0], pair[1]
		if kind, ok := kindOf(field); ok {
			items = append(items, store.Invalidation{Kind: kind, Name: value})
			continue
		}
		if len(items) == 0 {
			return nil, false
		}
		last := &items[len(items)-1]
		switch field {
		case fieldToken:
			if !last.Token.IsZero() || len(value) != hex.EncodedLen(len(last.Token)) {
				return nil, false
			}
			if _, err := hex.Decode(last.Token[:], []byte(value)); err != nil {
				return nil, false
			}
		case fieldFor:
			ms, err := strconv.ParseInt(value, 10, 64)
			if err != nil || ms <= 0 || ms > maxPX || last.For != 0 {
				return nil, false
			}
			last.For = time.Duration(ms) * time.Millisecond
		default:
			return nil, false
		}
	}
	return items, true
}

// recordsOf returns the records in a reply, as XRANGE gives them.
func recordsOf(reply any) ([]store.Record, error) {
	list, ok := reply.([]any)
	if !ok && reply != nil {
		return nil, fmt.Errorf("unexpected reply of type %T", reply)
	}
	if len(list) == 0 {
		return nil, nil
	}
	records := make([]store.Record, len(list))
	for i, v := range list {
		pair, _ := v.([]any)
		if len(pair) != 2 {
			return nil, fmt.Errorf("a record of type %T", v)
		}
		id, _ := pair[0].(string)
		raw, _ := pair[1].([]any) // nil for one that was deleted from the middle of a group, which none of ours is
		fields := make([]string, len(raw))
		for k, f := range raw {
			fields[k], _ = f.(string)
		}
		if records[i], ok = decodeRecord(id, fields); !ok {
			return nil, fmt.Errorf("a record whose id has %d bytes", len(id))
		}
	}
	return records, nil
}

// streamOf returns the list of the one stream in a reply of XREAD, which is a map where the connection
// speaks RESP3.
func streamOf(reply any) (any, error) {
	switch r := reply.(type) {
	case nil:
		return nil, nil
	case map[any]any:
		for _, list := range r {
			if len(r) == 1 {
				return list, nil
			}
		}
	case []any:
		if len(r) == 1 {
			if pair, ok := r[0].([]any); ok && len(pair) == 2 {
				return pair[1], nil
			}
		}
	}
	return nil, fmt.Errorf("unexpected reply of type %T", reply)
}
