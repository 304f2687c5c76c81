package config

import (
	"errors"
	"fmt"
	"math"
	"strconv"
	"time"

	"github.com/strata-cache/strata/core/cache"
)

// field is one field of a Cache, as JSON and the environment write it.
type field struct {
	name string
	set  func(c *Cache, text string) error
}

// fields are in the order of the package comment.
var fields = []field{
	{"url", func(c *Cache, s string) error { c.URL = URL(s); return nil }},
	{"tiers", func(c *Cache, s string) error { return c.Tiers.set(s) }},
	{"prefix", func(c *Cache, s string) error { c.Prefix = s; return nil }},
	{"version", func(c *Cache, s string) error { return setInt(&c.Version, s) }},
	{"codec", func(c *Cache, s string) error { c.Codec = s; return nil }},
	{"store_timeout", func(c *Cache, s string) error { return setDuration(&c.StoreTimeout, s, false) }},
	{"key_mode", func(c *Cache, s string) error { c.KeyMode = s; return nil }},
	{"key_max_len", func(c *Cache, s string) error { return setInt(&c.KeyMaxLen, s) }},
	{"ttl", func(c *Cache, s string) error { return setDuration(&c.TTL, s, true) }},
	{"jitter", func(c *Cache, s string) error { return setJitter(&c.Jitter, s) }},
	{"negative_ttl", func(c *Cache, s string) error { return setDuration(&c.NegativeTTL, s, false) }},
	{"stale_for", func(c *Cache, s string) error { return setDuration(&c.StaleFor, s, true) }},
	{"hard_timeout", func(c *Cache, s string) error { return setDuration(&c.HardTimeout, s, false) }},
	{"priority", func(c *Cache, s string) error { c.Priority = s; return nil }},
	{"shared", func(c *Cache, s string) error { return setBool(&c.Shared, s) }},
}

func fieldByName(name string) (field, bool) {
	for _, f := range fields {
		if f.name == name {
			return f, true
		}
	}
	return field{}, false
}

func setInt(to *int, text string) error {
	if text == "" {
		*to = 0
		return nil
	}
	n, err := strconv.Atoi(text)
	if err != nil {
		return fmt.Errorf("%q is not a whole number", text)
	}
	*to = n
	return nil
}

func setBool(to *bool, text string) error {
	switch text {
	case "true":
		*to = true
	case "", "false":
		*to = false
	default:
		return fmt.Errorf("%q is neither true nor false", text)
	}
	return nil
}

func setDuration(to *time.Duration, text string, forever bool) error {
	if text == "" {
		*to = 0
		return nil
	}
	d, err := ParseDuration(text)
	if err != nil {
		return err
	}
	if d == cache.Forever && !forever {
		return errors.New(`"forever" is no value for this field`)
	}
	*to = d
	return nil
}

func setJitter(to *float64, text string) error {
	switch text {
	case "":
		*to = 0
		return nil
	case off:
		*to = -1
		return nil
	}
	j, err := strconv.ParseFloat(text, 64)
	if err != nil || math.IsNaN(j) || math.IsInf(j, 0) {
		return fmt.Errorf("%q is not a number", text)
	}
	*to = j
	return nil
}
