// Package refresh renews values behind the requests that are served the old ones: a bounded queue in this
// process, and the interface to one that a fleet of processes shares.
//
// A hot key past its soft expiry is submitted on every hit, so what a second submission costs is what
// counts: a look-up under a lock, and no allocation.
//
//	q, err := refresh.New(refresh.Options{})
//	q.Submit(refresh.Job{Key: "user:42", Run: func(ctx context.Context) error { … }})
//
// # What bounds it
//
//	one key      is queued or running once; a job that failed is not taken again for 1 s, doubling to 1 min
//	Workers      8 jobs run at once; their goroutines start on demand and end when nothing is queued
//	Capacity     1,024 jobs wait; one more drops the oldest of the lowest priority, with an event
//	Close        stops the intake, drains until its context ends, then cancels, and waits
//
// Jobs of a higher priority start first, and in the order of their submission within one. A job that
// panics or calls runtime.Goexit has failed, and nothing else.
//
// # A fleet
//
// A function cannot travel to another process, but a name and an argument can. A job that has both is
// handed to Options.Fleet, if there is one, which keeps one of each for all processes together. Package
// asynqrefresh is a Fleet over Redis. While the fleet cannot be reached, a job that also has a Run runs
// here.
package refresh
