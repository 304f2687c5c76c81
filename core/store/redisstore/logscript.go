package redisstore

import (
	"fmt"

	"github.com/redis/go-redis/v9"
)

const (
	// recordItems is how many items one record holds at most: the arguments of a command of Lua are limited.
	recordItems = 1000
	// maxAppended is how many records an Append hands back at most.
	maxAppended = 200
)

// The first elements of the replies of appendScript.
const (
	appendLost = iota
	appendBlocked
	appendDone
)

// appendScript does all of an Append where its keys are on one server, or what concerns the log.
//
// KEYS: the log; of each entry to delete, of the one to add, and of each to set its key, lease and waiters.
// ARGV: now; channels; after; the id behind after; the id that the first record must have or exceed, or
// nothing; the length of the log; the number of deletes, of adds and of sets; of an add what may
// be overwritten, or nothing, its data and px; of each set data and px; then of each record the number of its
// fields, and those.
//
// A server without room refuses the first write of a script that could need some, and nothing behind another
// write. So it is asked for room for the add and the sets before anything else; the record begins with a write
// that needs none, since an invalidation must not be lost for want of memory. SETRANGE of nothing and a
// trimming of what is not there change nothing.
//
// The reply begins with a constant from above. Lost: the log ends before after, nothing was done. Blocked:
// how many were deleted; what is in the way of the add. Done: how many were deleted; the records behind
// after, or if they are too many only the last; 1 if they were; why the sets found no room, or nothing. What
// they would have replaced is removed then.
var appendScript = redis.NewScript(luaFresh + luaPut + luaWake + luaBefore + fmt.Sprintf(`
local log, now, channels, beyond = KEYS[1], tonumber(ARGV[1]), ARGV[2], ARGV[5]
local tail = redis.call('XREVRANGE', log, '+', '-', 'COUNT', 1)[1]
tail = tail and tail[1] or '0-0'
if beyond == '' and before(tail, ARGV[3]) then return {%d} end

local noroom = ''
if tonumber(ARGV[8]) + tonumber(ARGV[9]) > 0 then
	local room = redis.pcall('SETRANGE', KEYS[#KEYS - 2], 0, '')
	if type(room) == 'table' and string.find(room.err, 'OOM', 1, true) then
		if tonumber(ARGV[8]) > 0 then return room end
		noroom = room.err
	end
end

local key, arg = 2, 10
local deleted = 0
for _ = 1, tonumber(ARGV[7]) do
	if fresh(KEYS[key], now) then deleted = deleted + 1 end
	redis.call('UNLINK', KEYS[key])
	unguard(KEYS[key + 1], KEYS[key + 2], channels, KEYS[key], FREE)
	key = key + 3
end
for _ = 1, tonumber(ARGV[8]) do
	if fresh(KEYS[key], now) then
		local there = redis.call('GET', KEYS[key])
		if there ~= ARGV[arg] then return {%d, deleted, there} end
	end
	put(KEYS[key], ARGV[arg + 1], ARGV[arg + 2])
	unguard(KEYS[key + 1], KEYS[key + 2], channels, KEYS[key], STORED, ARGV[arg + 1])
	key, arg = key + 3, arg + 3
end

local function xadd(id, prev, fields)
	local command = {'XADD', log}
	for _, c in ipairs({id, 'p', prev}) do command[#command + 1] = c end
	for _, f in ipairs(fields) do command[#command + 1] = f end
	return redis.pcall(unpack(command))
end
local function record(prev, fields)
	local id = '*'
	if beyond ~= '' and before(tail, beyond) then
		local t = redis.call('TIME')
		if not before(beyond, t[1] .. string.format('%%03d', math.floor(t[2] / 1000)) .. '-0') then id = beyond end
	end
	local made = xadd(id, prev, fields)
	if id ~= '*' and type(made) == 'table' and string.find(made.err, 'equal or smaller', 1, true) then
		made = xadd('*', prev, fields) -- the log has had that id, and lost the record
	end
	if type(made) == 'string' then tail = made end
	return made
end
local at = arg + 2 * tonumber(ARGV[9])
local some = at <= #ARGV
if some then redis.call('XTRIM', log, 'MAXLEN', '~', ARGV[6]) end
while at <= #ARGV do
	if tail == '0-0' then
		local origin = record(tail, {})
		if type(origin) == 'table' then return origin end
	end
	local last = at + tonumber(ARGV[at])
	local made = record(tail, {unpack(ARGV, at + 1, last)})
	if type(made) == 'table' then return made end
	at = last + 1
end

for _ = 1, tonumber(ARGV[9]) do
	if noroom == '' then
		put(KEYS[key], ARGV[arg], ARGV[arg + 1])
		unguard(KEYS[key + 1], KEYS[key + 2], channels, KEYS[key], STORED, ARGV[arg])
	else
		redis.call('UNLINK', KEYS[key])
		unguard(KEYS[key + 1], KEYS[key + 2], channels, KEYS[key], FREE)
	end
	key, arg = key + 3, arg + 2
end

if not some then return {%d, deleted, {}, 0, noroom} end
local records = redis.call('XRANGE', log, ARGV[4], '+', 'COUNT', %d)
if #records <= %d then return {%d, deleted, records, 0, noroom} end
return {%d, deleted, redis.call('XREVRANGE', log, '+', '-', 'COUNT', 1), 1, noroom}`,
	appendLost, appendBlocked, appendDone, maxAppended+1, maxAppended, appendDone, appendDone))

// storeScript: KEYS entry, lease, waiters; ARGV data, px, channels. It is a Set that ends leases.
var storeScript = redis.NewScript(luaPut + luaWake + `
put(KEYS[1], ARGV[1], ARGV[2])
unguard(KEYS[2], KEYS[3], ARGV[3], KEYS[1], STORED, ARGV[1])
return 1`)
