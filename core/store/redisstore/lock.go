package redisstore

import (
	"context"
	"fmt"
	"time"

	"github.com/redis/go-redis/v9"
)

var (
	// lockScript: KEYS lock, queue, fence; ARGV token, ttl, node or nothing. A list of 1 and the fence if the
	// lock was free, otherwise of 0 and how long it is held. A fence that was lost, in an eviction or with the
	// server, goes on from the time in microseconds: no lock was granted so often.
	lockScript = redis.NewScript(luaQueue + fmt.Sprintf(`
local held = redis.call('GET', KEYS[1])
local token = '%s' .. ARGV[1]
if held and held ~= token then
	local left = queue(KEYS[1], KEYS[2], ARGV[3])
	if left >= 0 then return {0, left} end
end
if redis.call('EXISTS', KEYS[3]) == 0 then
	local now = redis.call('TIME')
	redis.call('SET', KEYS[3], string.format('%%.0f', now[1] * 1000000 + now[2]))
end
local fence = redis.call('INCR', KEYS[3])
redis.call('SET', KEYS[1], token, 'PX', ARGV[2])
return {1, fence}`, leaseToken))

	// unlockScript: KEYS lock, queue; ARGV token, channels, name. 1 if the token was the lock's.
	unlockScript = redis.NewScript(luaWake + luaHolds + `
if not holds(KEYS[1], ARGV[1]) then return 0 end
redis.call('UNLINK', KEYS[1])
wake(KEYS[2], ARGV[2], ARGV[3], FREE, 0)
return 1`)
)

// Lock is one script. The fence is a counter on the server that never expires, since it must outlive the
// lock: every name that was ever locked leaves one. Asking again with the token that holds the lock gives it
// a new lifetime and a new fence.
func (s *Store) Lock(ctx context.Context, name, token, node string, ttl time.Duration) (fence int64, left time.Duration, err error) {
	ms, err := lasting("lock", ttl)
	if err == nil {
		err = validToken("lock", token)
	}
	if err != nil {
		return 0, 0, err
	}
	var reply []int64
	err = s.do(ctx, "lock", func(ctx context.Context) (err error) {
		reply, err = lockScript.Run(ctx, s.client, s.lockNames(name), token, ms, node).Int64Slice()
		return err
	})
	switch {
	case err != nil:
		return 0, 0, err
	case len(reply) != 2:
		return 0, 0, fmt.Errorf("redisstore: lock: unexpected reply of length %d", len(reply))
	case reply[0] == 0:
		return 0, time.Duration(max(reply[1], 1)) * time.Millisecond, nil
	}
	return reply[1], 0, nil
}

// ExtendLock is one script.
func (s *Store) ExtendLock(ctx context.Context, name, token string, ttl time.Duration) (bool, error) {
	return s.extend(ctx, "extend lock", s.lockNames(name)[:2], token, ttl)
}

// Unlock is one script.
func (s *Store) Unlock(ctx context.Context, name, token string) (freed bool, err error) {
	if err := validToken("unlock", token); err != nil {
		return false, err
	}
	err = s.do(ctx, "unlock", func(ctx context.Context) (err error) {
		freed, err = unlockScript.Run(ctx, s.client, s.lockNames(name)[:2], token, s.channels(), s.name(name)).Bool()
		return err
	})
	return freed, err
}
