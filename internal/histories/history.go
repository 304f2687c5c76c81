package histories

import "time"

// Stamp is an instant of a history. Seq orders what happens in all processes: of two stamps the one that was
// taken first has the smaller one. Time, since any origin, is for bounds that are times; it need not agree
// with Seq.
type Stamp struct {
	Seq  uint64
	Time time.Duration
}

// Read is one version that a client has got. A client that reads several keys at once makes several.
type Read struct {
	Process, Client int
	Begin, End      Stamp
	Via             string // how it was read
	Key             int
	Version         uint64
	Missing         bool   // there was no value: Version means nothing
	Newest          uint64 // the version in the database after the read
}

// Barrier is an acknowledged invalidation of one key, or a value put into the cache. An invalidation of
// several keys makes several.
type Barrier struct {
	Process, Client int
	Begin, End      Stamp
	Via             string
	Key             int
	// Version is what the database held before the invalidation began, or the version that was put.
	Version uint64
	// Put says that Version was put into the cache. Readers may get it although the database has gone on,
	// until it is invalidated.
	Put bool
	// Lost says that the client got an error: nothing follows from it but that it may have happened, even
	// later.
	Lost bool
}

// History is what came of one run.
type History struct {
	Reads    []Read
	Barriers []Barrier
	// Lag is how much later than its end a barrier counts in other processes than its own. There it counts
	// at once.
	Lag time.Duration
	// Absent reports whether a version is the absence of a value. Nil: none is.
	Absent func(version uint64) bool
}
