package redisstore

import (
	"fmt"

	"github.com/strata-cache/strata/core/store"
)

// maxInline is the size of the largest value that travels with a wake-up, in bytes.
const maxInline = 16 << 10

// waitersGrace is how long the set of waiters outlives what they wait for, in milliseconds.
const waitersGrace = 1000

// The value of a lease is a token, or while a back-off runs the result, with a letter before it.
const (
	leaseToken  = "t"
	leaseResult = "r"
)

// luaBefore defines before(a, b) for the ids of a stream, which are too large for a number of Lua.
const luaBefore = `
local function less(a, b)
	if #a ~= #b then return #a < #b end
	return a < b
end
local function before(a, b)
	local at, an = string.match(a, '^(%d+)-(%d+)$')
	local bt, bn = string.match(b, '^(%d+)-(%d+)$')
	if at ~= bt then return less(at, bt) end
	return less(an, bn)
end`

// luaWake defines wake(waiters, channels, name, result, backoff, data), which tells all who wait, and
// unguard(lease, waiters, channels, name, result, data), which ends a lease, whoever holds it. data may be
// nil. STORED and FREE are results.
var luaWake = fmt.Sprintf(`
local STORED, FREE = %d, %d
local function wake(waiters, channels, name, result, backoff, data)
	local nodes = redis.call('SMEMBERS', waiters)
	if #nodes == 0 then return end
	redis.call('UNLINK', waiters)
	local message = result .. ' ' .. backoff .. ' ' .. #name .. ' ' .. name
	if data and #data <= %d then message = message .. data end
	for _, node in ipairs(nodes) do redis.call('PUBLISH', channels .. node, message) end
end
local function unguard(lease, waiters, channels, name, result, data)
	if redis.call('UNLINK', lease) == 1 then wake(waiters, channels, name, result, 0, data) end
end`, store.LeaseStored, store.LeaseFree, maxInline)

// luaQueue defines queue(held, waiters, node): the node is told when what it waits for ends. It returns how
// long that lasts at most.
var luaQueue = fmt.Sprintf(`
local function queue(held, waiters, node)
	local left = redis.call('PTTL', held)
	if node ~= '' and left >= 0 then
		redis.call('SADD', waiters, node)
		redis.call('PEXPIRE', waiters, left + %d)
	end
	return left
end`, waitersGrace)
