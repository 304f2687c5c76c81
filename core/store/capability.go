package store

import "context"

// As returns what serves as the capability C of s: s itself, or what a composite of several stores offers.
// C is one of the optional interfaces of this package.
func As[C any](s Store) (c C, ok bool) {
	if composite, is := s.(Composite); is {
		return ofComposite[C](composite)
	}
	c, ok = s.(C)
	return c, ok
}

func ofComposite[C any](s Composite) (c C, ok bool) {
	ok = s.Capability(&c)
	return c, ok
}

// Composite is a store made of other stores, whose capabilities depend on what those can do. Its method
// set says nothing about them: As asks Capability.
type Composite interface {
	Store
	// Capability sets *target to what serves as that capability and reports true, or leaves it alone and
	// reports false. target is a pointer to a variable of one of this package's optional interfaces.
	Capability(target any) bool
}

// Validator tells whether an entry may still be used: false for one that was invalidated. It is called
// without locks held, and must be safe for concurrent use.
type Validator func(key string, e *Entry) bool

// Fronted is a store whose first tier lies in this process, in front of others.
type Fronted interface {
	// Peek returns the entry of the first tier, or nil. The key's memory belongs to the caller: it is only
	// read, and not after the call.
	Peek(key []byte) *Entry
	// GetValid is Get that passes over the entries of every tier for which valid is false, and reports in
	// which tier it found what it returns: 1 is the first. What is found behind the first tier is copied
	// into the tiers before it.
	GetValid(ctx context.Context, key string, valid Validator) (e *Entry, tier int, err error)
	// GetManyValid is GetValid for many keys: one element per key, nil for a miss.
	GetManyValid(ctx context.Context, keys []string, valid Validator) ([]*Entry, error)
	// SetFront stores e in the first tier alone.
	SetFront(key string, e *Entry) error
	// DropFront removes the keys from the first tier alone; what is behind stays.
	DropFront(keys ...string)
	// ClearFront removes every entry whose key begins with prefix from the first tier alone.
	ClearFront(prefix string)
}
