package negative

// ghostsPerKey is how many digests there is room for, by keys that the table has room for.
const ghostsPerKey = 4

// ghosts are digests of keys that were evicted. Each has one place, where it stays until another one takes
// it: after as many evictions as there are places, about a third is left.
type ghosts []uint32

// digest is never 0, which stands for an empty place. The place takes the low bits of the hash.
func digest(hash uint64) uint32 { return uint32(hash>>32) | 1 }

func (g ghosts) put(hash uint64) { g[hash&uint64(len(g)-1)] = digest(hash) }

// has reports whether the key was evicted lately.
func (g ghosts) has(hash uint64) bool { return g[hash&uint64(len(g)-1)] == digest(hash) }
