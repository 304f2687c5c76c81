package redisstore

import (
	"errors"
	"fmt"
	"time"
)

// Defaults of Options.
const (
	// DefaultPrefix is what every key on the server begins with.
	DefaultPrefix = "strata:"
	// DefaultOpTimeout is what one round trip may take.
	DefaultOpTimeout = 50 * time.Millisecond
	// DefaultMaxEntryBytes is the size of the largest frame that is stored: 8 MiB.
	DefaultMaxEntryBytes = 8 << 20
	// DefaultLogLength is how many records the log keeps.
	DefaultLogLength = 100_000
)

const (
	// maxPrefix is the length of the longest prefix in bytes.
	maxPrefix = 256
	// maxString is the length of the longest string a server takes by default, in bytes.
	maxString = 512 << 20
)

// Options configure a store. The zero value is safe, with the defaults above.
type Options struct {
	// Prefix is this store's namespace on the server: what its keys begin with, and what Clear keeps to.
	// No store's prefix may be the beginning of another's. At most 256 bytes, no control characters;
	// braces only in pairs with something between them, a hash tag. Empty means DefaultPrefix.
	Prefix string
	// OpTimeout is what one round trip may take, from the wait for a connection on; a caller's nearer
	// deadline wins. Zero means DefaultOpTimeout, negative means no limit beside those of the client.
	OpTimeout time.Duration
	// MaxEntryBytes is the size of the largest frame that is stored: value, key, tags, deps and a header
	// of 96 bytes. A larger one is refused with store.ErrTooLarge. Zero means DefaultMaxEntryBytes,
	// negative means what a server takes, 512 MiB.
	MaxEntryBytes int
	// LogLength is how many records the log keeps, about: the server cuts it by blocks of some hundred. A
	// process that was away for longer than they reach back finds that it has missed some, and drops what it
	// has. Zero means DefaultLogLength, negative means that the log is never cut.
	LogLength int
}

// withDefaults returns o with every field meant literally; OpTimeout and LogLength are 0 for none.
func (o Options) withDefaults() (Options, error) {
	if o.Prefix == "" {
		o.Prefix = DefaultPrefix
	}
	if len(o.Prefix) > maxPrefix {
		return o, fmt.Errorf("redisstore: Prefix of %d bytes, the limit is %d", len(o.Prefix), maxPrefix)
	}
	for i := range len(o.Prefix) {
		if c := o.Prefix[i]; c < ' ' || c == 0x7f {
			return o, errors.New("redisstore: Prefix holds a control character")
		}
	}
	if err := validTags(o.Prefix); err != nil {
		return o, err
	}
	switch {
	case o.LogLength == 0:
		o.LogLength = DefaultLogLength
	case o.LogLength < 0:
		o.LogLength = 0
	}
	switch {
	case o.OpTimeout == 0:
		o.OpTimeout = DefaultOpTimeout
	case o.OpTimeout < 0:
		o.OpTimeout = 0
	}
	switch {
	case o.MaxEntryBytes > maxString:
		return o, fmt.Errorf("redisstore: MaxEntryBytes %d is more than a server takes, %d", o.MaxEntryBytes, maxString)
	case o.MaxEntryBytes == 0:
		o.MaxEntryBytes = DefaultMaxEntryBytes
	case o.MaxEntryBytes < 0:
		o.MaxEntryBytes = maxString
	}
	return o, nil
}
