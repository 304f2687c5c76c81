package redisstore

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/strata-cache/strata/core/store"
)

var (
	// leaseScript: KEYS entry, lease, waiters; ARGV now, seen or nothing, token, ttl, node or nothing. A list
	// of what is there and how long it lives, of nothing if the lease is granted, or of a result and how long
	// the lease or its back-off lasts. A seen frame is told by its Created and Stamp, a counter by its digits.
	leaseScript = redis.NewScript(luaFresh + luaQueue + fmt.Sprintf(`
if fresh(KEYS[1], tonumber(ARGV[1])) then
	local h = redis.call('GETRANGE', KEYS[1], 0, %d)
	if #ARGV[2] == %d then h = string.sub(h, %d, %d) .. string.sub(h, %d, %d) end
	if h ~= ARGV[2] then return {redis.call('GET', KEYS[1]), redis.call('PTTL', KEYS[1])} end
end
local held = redis.call('GET', KEYS[2])
local token = '%s' .. ARGV[3]
if held and held ~= token then
	if string.sub(held, 1, 1) == '%s' then
		local left = redis.call('PTTL', KEYS[2])
		if left >= 0 then return {tonumber(string.sub(held, 2)) or -1, left} end
	else
		local left = queue(KEYS[2], KEYS[3], ARGV[5])
		if left >= 0 then return {0, left} end
	end
end
redis.call('SET', KEYS[2], token, 'PX', ARGV[4])
return {}`, seenEnd-1, seenSize, createdAt+1, createdAt+8, stampAt+1, stampAt+16, leaseToken, leaseResult))

	// setLeasedScript: KEYS entry, lease, waiters; ARGV token, data, px, channels, result. 1 if the token was
	// the lease's, and data now is there.
	setLeasedScript = redis.NewScript(luaPut + luaWake + luaHolds + `
if not holds(KEYS[2], ARGV[1]) then return 0 end
put(KEYS[1], ARGV[2], ARGV[3])
redis.call('UNLINK', KEYS[2])
wake(KEYS[3], ARGV[4], KEYS[1], ARGV[5], 0, ARGV[2])
return 1`)

	// renewScript: KEYS lease, waiters; ARGV token, ttl. 1 if the token was the lease's.
	renewScript = redis.NewScript(luaHolds + fmt.Sprintf(`
if not holds(KEYS[1], ARGV[1]) then return 0 end
redis.call('PEXPIRE', KEYS[1], ARGV[2])
redis.call('PEXPIRE', KEYS[2], ARGV[2] + %d)
return 1`, waitersGrace))

	// releaseScript: KEYS entry, lease, waiters; ARGV token, result, back-off, channels.
	releaseScript = redis.NewScript(luaWake + luaHolds + fmt.Sprintf(`
if not holds(KEYS[2], ARGV[1]) then return 0 end
if ARGV[3] == '0' then
	redis.call('UNLINK', KEYS[2])
else
	redis.call('SET', KEYS[2], '%s' .. ARGV[2], 'PX', ARGV[3])
end
wake(KEYS[3], ARGV[4], KEYS[1], ARGV[2], ARGV[3])
return 1`, leaseResult))
)

// luaHolds defines holds(lease, token).
var luaHolds = fmt.Sprintf(`
local function holds(lease, token) return redis.call('GET', lease) == '%s' .. token end`, leaseToken)

// Where a frame's Created and Stamp lie, and how long the two are together.
const (
	createdAt = 24
	stampAt   = 40
	seenEnd   = 56
	seenSize  = 24
)

// seenBytes is what leaseScript tells e by.
func seenBytes(e *store.Entry) []byte {
	if e == nil {
		return nil
	}
	if e.Flags&store.FlagCounter != 0 {
		return e.Value
	}
	b := make([]byte, seenSize)
	binary.BigEndian.PutUint64(b, uint64(e.Created))
	binary.BigEndian.PutUint64(b[8:], e.Stamp.Time)
	binary.BigEndian.PutUint64(b[16:], e.Stamp.Seq)
	return b
}

// Lease is one script, and where a fresh entry is damaged a second one, to which it counts as seen. Whether an
// entry is fresh is judged by this process's clock. Asking again with the token that holds the lease gives it
// a new lifetime.
func (s *Store) Lease(ctx context.Context, key string, r store.LeaseRequest) (store.Lease, error) {
	ttl, err := lasting("lease", r.TTL)
	if err == nil {
		err = validToken("lease", r.Token)
	}
	if err != nil {
		return store.Lease{}, err
	}
	seen := seenBytes(r.Seen)
	for first := true; ; first = false {
		now := time.Now().UnixMilli()
		var reply []any
		err := s.do(ctx, "lease", func(ctx context.Context) (err error) {
			reply, err = leaseScript.Run(ctx, s.client, s.guarded(key), now, seen, r.Token, ttl, r.Node).Slice()
			return err
		})
		if err != nil {
			return store.Lease{}, err
		}
		if len(reply) == 0 {
			return store.Lease{Granted: true}, nil
		}
		if len(reply) != 2 {
			return store.Lease{}, fmt.Errorf("redisstore: lease: unexpected reply of length %d", len(reply))
		}
		left, _ := reply[1].(int64)
		data, there := reply[0].(string)
		if !there {
			result, _ := reply[0].(int64)
			return store.Lease{Result: knownResult(result), Left: time.Duration(max(left, 1)) * time.Millisecond}, nil
		}
		e, err := livingEntry(key, data, left, now)
		switch {
		case err == nil:
			return store.Lease{Entry: e}, nil
		case !first:
			return store.Lease{}, fmt.Errorf("redisstore: lease: %w", err)
		case len(data) >= seenEnd:
			seen = []byte(data[createdAt:createdAt+8] + data[stampAt:seenEnd])
		default:
			seen = []byte(data)
		}
	}
}

// knownResult is what a marker says, LeaseFree where that is nothing known: the key can be asked for again
// when it has ended.
func knownResult(n int64) store.LeaseResult {
	if n < 0 || n > int64(store.LeaseUncacheable) {
		return store.LeaseFree
	}
	return store.LeaseResult(n)
}

// SetLeased is one script. An entry that Set would refuse ends the lease and what was under the key, with the
// error, and those who wait are told that the key is free; so they are of one that is already Gone.
func (s *Store) SetLeased(ctx context.Context, key, token string, e *store.Entry) (stored bool, err error) {
	if err := validToken("set leased", token); err != nil {
		return false, err
	}
	f, refused := s.formOf(key, e, time.Now().UnixMilli())
	result := store.LeaseStored
	if f.px == gone {
		result = store.LeaseFree
	}
	err = s.do(ctx, "set leased", func(ctx context.Context) (err error) {
		stored, err = setLeasedScript.Run(ctx, s.client, s.guarded(key), token, f.data, f.px, s.channels(), int(result)).Bool()
		return err
	})
	if stored && refused != nil {
		return false, fmt.Errorf("redisstore: set leased: %w", refused)
	}
	return stored, err
}

// RenewLease is one script.
func (s *Store) RenewLease(ctx context.Context, key, token string, ttl time.Duration) (bool, error) {
	return s.extend(ctx, "renew lease", []string{s.guardName(key, leaseSuffix), s.guardName(key, waitersSuffix)}, token, ttl)
}

// extend runs renewScript.
func (s *Store) extend(ctx context.Context, op string, names []string, token string, ttl time.Duration) (held bool, err error) {
	ms, err := lasting(op, ttl)
	if err == nil {
		err = validToken(op, token)
	}
	if err != nil {
		return false, err
	}
	err = s.do(ctx, op, func(ctx context.Context) (err error) {
		held, err = renewScript.Run(ctx, s.client, names, token, ms).Bool()
		return err
	})
	return held, err
}

// ReleaseLease is one script.
func (s *Store) ReleaseLease(ctx context.Context, key, token string, result store.LeaseResult, backOff time.Duration) error {
	if err := validToken("release lease", token); err != nil {
		return err
	}
	if result == store.LeaseHeld || result > store.LeaseUncacheable {
		return errors.New("redisstore: release lease: no result of a lease that has ended")
	}
	return s.do(ctx, "release lease", func(ctx context.Context) error {
		return releaseScript.Run(ctx, s.client, s.guarded(key), token, int(result), milliseconds(backOff), s.channels()).Err()
	})
}
