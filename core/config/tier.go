package config

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"time"

	"github.com/strata-cache/strata/core/event"
	"github.com/strata-cache/strata/core/store"
	"github.com/strata-cache/strata/core/store/tiered"
)

// Tier describes one store of a cache that has several, one in front of the other.
type Tier struct {
	URL    URL           // mandatory
	MaxTTL time.Duration // tiered.Tier.MaxTTL; zero and negative mean no limit
	Jitter float64       // tiered.Tier.Jitter
	Name   string        // tiered.Tier.Name
}

// Tiers are the stores of a cache, from the one in this process down. What follows the last one is zero; all
// zero means that the cache has one store, its URL.
type Tiers [3]Tier

// list returns the tiers that are there.
func (t Tiers) list() []Tier {
	n := len(t)
	for n > 0 && t[n-1] == (Tier{}) {
		n--
	}
	return t[:n]
}

// set reads tiers as JSON or the environment write them: a JSON array, or URLs with blanks between them.
func (t *Tiers) set(text string) error {
	var list []Tier
	if strings.HasPrefix(strings.TrimSpace(text), "[") {
		var items []json.RawMessage
		if err := json.Unmarshal([]byte(text), &items); err != nil {
			return malformed(err, "")
		}
		var errs []error
		for i, item := range items {
			tier, err := parseTier(item)
			if err != nil {
				errs = append(errs, fmt.Errorf("tier %d: %w", i+1, err))
			}
			list = append(list, tier)
		}
		if err := errors.Join(errs...); err != nil {
			return err
		}
	} else {
		for u := range strings.FieldsSeq(text) {
			list = append(list, Tier{URL: URL(u)})
		}
	}
	if len(list) > len(t) {
		return fmt.Errorf("%d tiers, at most %d are possible", len(list), len(t))
	}
	*t = Tiers{}
	copy(t[:], list)
	return nil
}

// tierFields are what an object in the list may hold.
var tierFields = map[string]func(t *Tier, text string) error{
	"url":     func(t *Tier, s string) error { t.URL = URL(s); return nil },
	"max_ttl": func(t *Tier, s string) error { return setDuration(&t.MaxTTL, s, false) },
	"jitter":  func(t *Tier, s string) error { return setJitter(&t.Jitter, s) },
	"name":    func(t *Tier, s string) error { t.Name = s; return nil },
}

func parseTier(data json.RawMessage) (t Tier, err error) {
	if data[0] == '"' {
		text, err := scalar(data)
		return Tier{URL: URL(text)}, err
	}
	var errs []error
	err = object(data, func(name string, value json.RawMessage) error {
		set := tierFields[name]
		if set == nil {
			errs = append(errs, fmt.Errorf("%s: unknown field, not one of %s", name, names(tierFields)))
			return nil
		}
		text, err := scalar(value)
		if err == nil {
			err = set(&t, text)
		}
		if err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", name, err))
		}
		return nil
	})
	return t, errors.Join(append(errs, err)...)
}

// tiers plans the stores of a cache that has several, and returns what opens them.
func (p Parts) tiers(alias string, c Cache, fail func(string, error)) func() (store.Store, error) {
	list := c.Tiers.list()
	if c.URL != "" {
		fail("url", errors.New("it is given beside tiers"))
	}
	if len(list) < 2 {
		fail("tiers", errors.New("a single one: give it as url"))
	}
	opens := make([]func() (store.Store, error), len(list))
	for i, t := range list {
		opens[i] = p.store(t.URL, func(err error) { fail("tiers", fmt.Errorf("tier %d: %w", i+1, err)) })
		if t.Jitter > 1 {
			fail("tiers", fmt.Errorf("tier %d: jitter: %v is not between 0 and 1", i+1, t.Jitter))
		}
	}
	return func() (store.Store, error) {
		opts := tiered.Options{OnError: p.tierFailed(alias)}
		var closing []error
		undo := func(err error) (store.Store, error) {
			for _, t := range opts.Tiers {
				closing = append(closing, t.Store.Close())
			}
			return nil, errors.Join(append([]error{err}, closing...)...)
		}
		for i, t := range list {
			st, err := opens[i]()
			if err != nil {
				return undo(fmt.Errorf("tier %d: %w", i+1, err))
			}
			opts.Tiers = append(opts.Tiers, tiered.Tier{Store: st, MaxTTL: t.MaxTTL, Jitter: t.Jitter, Name: t.Name})
		}
		st, err := tiered.New(opts)
		if err != nil {
			return undo(err)
		}
		return st, nil
	}
}

// tierFailed makes events of the failures that a tier in front hides from the cache.
func (p Parts) tierFailed(alias string) func(int, string, error) {
	if p.Observer == nil || p.Observer.StoreError == nil {
		return nil
	}
	ops := map[string]event.Op{"get": event.OpGet, "set": event.OpSet, "add": event.OpAdd, "delete": event.OpDelete}
	return func(_ int, op string, err error) {
		p.Observer.StoreError(context.Background(), event.StoreError{Cache: alias, Op: ops[op], Err: err})
	}
}

// openOne opens the store that a URL names.
func openOne(u *url.URL, open Opener) (store.Store, error) {
	st, err := open(u)
	if err != nil {
		return nil, redact(u, err)
	}
	if st == nil {
		return nil, fmt.Errorf("the opener of scheme %q returned no store", u.Scheme)
	}
	return st, nil
}
