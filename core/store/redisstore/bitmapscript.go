package redisstore

import (
	"fmt"

	"github.com/redis/go-redis/v9"
)

// luaBitmap defines head(key), the header of a bitmap that is whole and in its place, or nothing; and rewound(key, seen), which
// removes one that is older than what somebody has seen of it. Numbers of Lua are exact up to 2^53, which no
// seq and no length reaches.
var luaBitmap = fmt.Sprintf(`
local function head(key)
	local h = redis.pcall('GETRANGE', key, 0, %[1]d)
	if type(h) ~= 'string' or #h < %[2]d or string.sub(h, 1, 4) ~= '%[3]s' then return false end
	local state, hashes = string.byte(h, 5, 6)
	if state < %[7]d or state > %[8]d or hashes == 0 or string.byte(h, 41) > 127 or string.byte(h, 49) > 127 then return false end
	if string.sub(h, 7, 8) .. string.sub(h, 57) ~= string.rep('\0', 10) then return false end
	if string.byte(h, 16) %% 2 ~= tonumber(string.sub(key, -1)) then return false end
	local last = %[2]d + struct.unpack('>I8', h, 17) / 8
	if redis.call('STRLEN', key) ~= last + 1 or redis.call('GETRANGE', key, last, last) ~= '%[4]s' then return false end
	return h
end
local function token(h) return h and string.sub(h, 9, 16) or '' end
local function state(h) return string.byte(h, 5) end
local function seq(key) return redis.call('BITFIELD', key, 'GET', 'i64', %[5]d)[1] end
local function rewound(key, seen)
	if seq(key) >= tonumber(seen) then return false end
	redis.call('UNLINK', key)
	return true
end
local function grow(key, count)
	return redis.call('BITFIELD', key, 'INCRBY', 'i64', %[5]d, 1, 'INCRBY', 'i64', %[6]d, count)[1]
end
local function find(t)
	for _, key in ipairs(KEYS) do
		local h = head(key)
		if token(h) == t then return key, h end
	end
end
`, bitmapHeader-1, bitmapHeader, luaBytes([]byte{'S', 'B', 'F', 1}), luaBytes([]byte{bitmapEnd}), bitmapSeqBit, bitmapSeqBit+64, bitmapOpen, bitmapSealed)

// The scripts of bitmaps. KEYS are the two places of a name. Those that meet another bitmap than they were
// called for return -1.
var (
	// loadBitmapsScript: the headers, '' for none, and the run id of the server, '' where it does not tell.
	loadBitmapsScript = redis.NewScript(luaBitmap + `
local info = redis.pcall('INFO', 'server')
local run = type(info) == 'string' and string.match(info, 'run_id:(%x+)') or ''
return {head(KEYS[1]) or '', head(KEYS[2]) or '', run}`)

	// openBitmapScript: ARGV place of the last byte, the byte, and for each place the header of a new one. The
	// header of the open one.
	openBitmapScript = redis.NewScript(luaBitmap + fmt.Sprintf(`
local free = 1
for i, key in ipairs(KEYS) do
	local h = head(key)
	if h and state(h) == %d then
		if string.sub(h, 6, 6) == string.sub(ARGV[3], 6, 6) and string.sub(h, 17, 32) == string.sub(ARGV[3], 17, 32) then return h end
		free = i
		break
	elseif h then
		free = 3 - i
	end
end
redis.call('SET', KEYS[free], ARGV[2 + free])
redis.call('SETRANGE', KEYS[free], ARGV[1], ARGV[2])
return ARGV[2 + free]`, bitmapOpen))

	// setBitsScript: ARGV how many writes, then of each the token, the seq seen, the number of hashes, the
	// number of bits, the bits. The seqs.
	setBitsScript = redis.NewScript(luaBitmap + fmt.Sprintf(`
local places, order, at = {}, {}, 2
for _ = 1, tonumber(ARGV[1]) do
	local key = find(ARGV[at])
	if not key or rewound(key, ARGV[at + 1]) then return -1 end
	places[key] = at
	order[#order + 1] = key
	at = at + 4 + tonumber(ARGV[at + 3])
end
for _, key in ipairs(KEYS) do
	if not places[key] and head(key) then return -1 end
end
local seqs = {}
for _, key in ipairs(order) do
	local at = places[key]
	local hashes, n, new = tonumber(ARGV[at + 2]), tonumber(ARGV[at + 3]), 0
	for i = 0, n - 1, hashes do
		local ops = {}
		for j = 1, hashes do
			local o = 4 * j - 4
			ops[o + 1], ops[o + 2], ops[o + 3] = 'SET', 'u1', string.format('%%.0f', %d + tonumber(ARGV[at + 3 + i + j]))
			ops[o + 4] = '1'
		end
		for _, old in ipairs(redis.call('BITFIELD', key, unpack(ops))) do
			if old == 0 then
				new = new + 1
				break
			end
		end
	end
	seqs[#seqs + 1] = grow(key, new)
end
return seqs`, bitmapHeader*8))

	// testBitsScript: ARGV token, and the arguments of BITFIELD_RO for the seq and the bits. Its reply. A
	// client that would ask a replica for what only reads sends a script to the master.
	testBitsScript = redis.NewScript(luaBitmap + fmt.Sprintf(`
local key, h = find(ARGV[1])
if not key or state(h) ~= %d then return -1 end
return redis.call('BITFIELD_RO', key, unpack(ARGV, 2))`, bitmapSealed))

	// mergeBitmapScript: ARGV token, seq seen, offset, data. The seq. What is all zeros yet is overwritten,
	// the rest is merged block by block.
	mergeBitmapScript = redis.NewScript(luaBitmap + fmt.Sprintf(`
local key, h = find(ARGV[1])
if not key or state(h) ~= %d or rewound(key, ARGV[2]) then return -1 end
local start, data = tonumber(ARGV[3]) + %d, ARGV[4]
local block = 512
local zeros = string.rep('\0', block)
if redis.call('GETRANGE', key, start, start + #data - 1) == string.rep('\0', #data) then
	redis.call('SETRANGE', key, start, data)
	return grow(key, 0)
end
for at = 1, #data, block do
	local new = string.sub(data, at, at + block - 1)
	if new ~= string.sub(zeros, 1, #new) then
		local from = string.format('%%.0f', start + at - 1)
		local old = redis.call('GETRANGE', key, from, string.format('%%.0f', start + at + #new - 2))
		if old ~= string.sub(zeros, 1, #old) and old ~= new then
			local bytes = {}
			for i = 1, #new do bytes[i] = string.char(bit.bor(string.byte(old, i), string.byte(new, i))) end
			new = table.concat(bytes)
		end
		redis.call('SETRANGE', key, from, new)
	end
end
return grow(key, 0)`, bitmapOpen, bitmapHeader))

	// readBitmapScript: ARGV token, first byte, last byte. The bytes.
	readBitmapScript = redis.NewScript(luaBitmap + `
local key = find(ARGV[1])
if not key then return -1 end
return redis.call('GETRANGE', key, ARGV[2], ARGV[3])`)

	// sealBitmapScript: ARGV token, seq seen, count.
	sealBitmapScript = redis.NewScript(luaBitmap + fmt.Sprintf(`
local key, h = find(ARGV[1])
if not key or state(h) ~= %d or rewound(key, ARGV[2]) then return -1 end
grow(key, ARGV[3])
redis.call('SETRANGE', key, 4, '%s')
for _, other in ipairs(KEYS) do
	if other ~= key then redis.call('UNLINK', other) end
end
return 1`, bitmapOpen, luaBytes([]byte{bitmapSealed})))

	// dropBitmapScript: ARGV token.
	dropBitmapScript = redis.NewScript(luaBitmap + `
local key = find(ARGV[1])
if key then redis.call('UNLINK', key) end
return 1`)

	// holdBitmapsScript: KEYS the hold; ARGV owner, ttl in ms or 0. 1 if the owner has it.
	holdBitmapsScript = redis.NewScript(`
local there = redis.call('GET', KEYS[1])
if there and there ~= ARGV[1] then return 0 end
if ARGV[2] == '0' then
	redis.call('UNLINK', KEYS[1])
	return 0
end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
return 1`)
)
