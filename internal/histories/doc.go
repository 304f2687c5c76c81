// Package histories checks what many processes have seen of one cache against what the cache promises.
//
// A history is what the clients of several processes did with a few hot keys: reads with the version they
// got, and invalidations with the version that the database held when they began. Check finds the reads that
// no order of events can explain.
//
// The tests of the package make such histories with real processes on a real server, at random:
//
//	go test ./internal/histories -v    a few
//	make histories                     2,000 of 500 operations
//	go test ./internal/histories -run T -v -seed=N -only=M -ops=O    history M of the run of test T with that seed
package histories
