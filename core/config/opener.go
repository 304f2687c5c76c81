package config

import (
	"errors"
	"fmt"
	"net/url"

	"github.com/strata-cache/strata/core/event"
	"github.com/strata-cache/strata/core/store"
	"github.com/strata-cache/strata/core/store/memstore"
	"github.com/strata-cache/strata/core/store/nullstore"
)

// Memory returns the opener of memory://[name][?max=SIZE&max_entry=SIZE]. Each URL is a store of its own,
// also if it is the same one. The observer, which may be nil, learns of evictions.
func Memory(observer *event.Observer) Opener {
	return func(u *url.URL) (store.Store, error) {
		opts := memstore.Options{Name: u.Host, Observer: observer}
		if err := Params(u, map[string]func(string) error{
			"max":       sizeTo(&opts.MaxBytes),
			"max_entry": sizeTo(&opts.MaxEntryBytes),
		}); err != nil {
			return nil, err
		}
		if err := noMore(u); err != nil {
			return nil, err
		}
		st, err := memstore.New(opts)
		if err != nil {
			return nil, err
		}
		return st, nil
	}
}

// Null returns the opener of null://.
func Null() Opener {
	return func(u *url.URL) (store.Store, error) {
		if u.Host != "" {
			return nil, errors.New("null:// takes no host")
		}
		if err := Params(u, nil); err != nil {
			return nil, err
		}
		if err := noMore(u); err != nil {
			return nil, err
		}
		return nullstore.New(), nil
	}
}

// Params passes each query parameter of u to the function under its name. A parameter that is unknown,
// or given twice, is an error, as is what a function returns; values do not appear in it unless a function
// puts them there.
func Params(u *url.URL, set map[string]func(value string) error) error {
	query, err := url.ParseQuery(u.RawQuery)
	if err != nil {
		return errors.New("its parameters are malformed")
	}
	for name, values := range query {
		f := set[name]
		switch {
		case f == nil && len(set) == 0:
			return fmt.Errorf("unknown parameter %q: %s:// takes none", name, u.Scheme)
		case f == nil:
			return fmt.Errorf("unknown parameter %q, not one of %s", name, names(set))
		case len(values) != 1:
			return fmt.Errorf("parameter %q is given %d times", name, len(values))
		}
		if err := f(values[0]); err != nil {
			return fmt.Errorf("parameter %q: %w", name, err)
		}
	}
	return nil
}

func noMore(u *url.URL) error {
	if u.User != nil || u.Port() != "" || u.Path != "" && u.Path != "/" || u.Opaque != "" || u.Fragment != "" {
		return fmt.Errorf("%s:// takes no user, port, path or fragment", u.Scheme)
	}
	return nil
}

func sizeTo(to *int64) func(string) error {
	return func(text string) (err error) {
		*to, err = ParseSize(text)
		return err
	}
}
