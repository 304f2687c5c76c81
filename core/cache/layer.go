package cache

// layerKey names what stands once on each version of a cache.
type layerKey struct {
	version int
	key     any
}

// Layer returns what build has built on this view of the cache under key, building it the first time. It
// is for packages that add a layer which exists once in a cache. key is of a type of the package's own,
// as in a context. An error is not kept: the next call builds again. build must not call Layer.
func (c *Cache) Layer(key any, build func() (any, error)) (any, error) {
	e := c.engine
	e.layersMu.Lock()
	defer e.layersMu.Unlock()
	k := layerKey{c.version, key}
	if l, ok := e.layers[k]; ok {
		return l, nil
	}
	l, err := build()
	if err != nil {
		return nil, err
	}
	if e.layers == nil {
		e.layers = make(map[layerKey]any)
	}
	e.layers[k] = l
	return l, nil
}
