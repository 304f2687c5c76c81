// Package asynqrefresh is a refresh.Fleet over Redis, by asynq: web processes enqueue, worker processes
// refresh, and of one job the fleet holds one.
//
//	q, err := asynqrefresh.New(asynqrefresh.Options{Redis: asynq.RedisClientOpt{Addr: "127.0.0.1:6379"}})
//	err = q.Register("product", func(ctx context.Context, id string) error { … }) // in the workers
//	err = q.Run(ctx)                                                             // in the workers
//	local, err := refresh.New(refresh.Options{Fleet: q})                         // where requests are served
//
// A process may do both. Refreshers are registered on the queue, before Run; nothing is global.
//
// # How often a job runs
//
// A job is refused while one with the same name and argument waits or runs, for as long as unique says. Once,
// if it succeeds. A refresher that fails, panics, or exceeds its timeout is tried again MaxRetry times, after
// 1 s, 2 s and 4 s, while others go past it; then asynq archives the job, and its lock refuses the next one
// until unique is over. A name that no refresher has counts as a failure: another worker may know it.
//
// A worker that dies in the middle of a job costs one retry. asynq itself finds such jobs after 55 to 120
// seconds, because its lease (30 s), the grace (30 s) and the interval (60 s) are constants. The workers
// here look at the leases more often: a lease that asynq's heartbeat, which comes each 5 seconds, has not
// moved for HandOn means that nobody works on the job, and it goes to the head of its queue. With the default
// of 12 s that is 7 to 18 s after the death. A job that has been handed on MaxRetry times is dropped: it may
// be what kills the workers. A worker that was only stopped for that long loses its job in the same way, and
// the job runs twice.
//
// # What it costs
//
// asynq polls. An idle worker sends 3 scripts a Poll, for each priority one queue, and about 3 commands a
// second beside them: with the default Poll of a second 6 a second, and nothing while requests are served. A
// job waits for Poll and a half at most, on average for half of one. Enqueue is one script, as each end of a
// job is. asynq keeps its own counts of jobs by day for 90 days, and archived jobs, with their arguments, as
// long, 10,000 at most; a completed job leaves nothing unless Retention is set.
//
// Jobs have no TTL on the server. Where it evicts keys regardless of that (allkeys-lru and the like) a job
// can be lost, and the next one is refused until unique is over.
package asynqrefresh
