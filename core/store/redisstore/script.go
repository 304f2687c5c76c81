package redisstore

import (
	"context"
	"fmt"

	"github.com/redis/go-redis/v9"

	"github.com/strata-cache/strata/core/codec"
	"github.com/strata-cache/strata/core/store"
)

// The scripts. Their sources hold constants only; keys, values and instants are passed to them. Expiries
// are those of a form. What has another type than a string is asked for with pcall, and is taken for
// absent. Numbers of Lua are doubles: exact for milliseconds, not for counters, which stay strings.
var (
	// addScript: KEYS key; ARGV now, data, px. 1 if it stored, otherwise what is there.
	addScript = redis.NewScript(luaFresh + luaPut + `
if fresh(KEYS[1], tonumber(ARGV[1])) then return redis.call('GET', KEYS[1]) end
put(KEYS[1], ARGV[2], ARGV[3])
return 1`)

	// deleteScript: KEYS of each entry its key, lease and waiters; ARGV now, channels. How many were live
	// and fresh. Who waits may lease the key at once.
	deleteScript = redis.NewScript(luaFresh + luaWake + `
local n = 0
for i = 1, #KEYS, 3 do
	if fresh(KEYS[i], tonumber(ARGV[1])) then n = n + 1 end
	redis.call('UNLINK', KEYS[i])
	unguard(KEYS[i + 1], KEYS[i + 2], ARGV[2], KEYS[i], FREE)
end
return n`)

	// touchScript: KEYS key; ARGV seen, replacement, px: a frame's headers, or a counter's digits and
	// nothing, since only the expiry of a counter can change. 1 if seen was there.
	touchScript = redis.NewScript(fmt.Sprintf(`
if redis.pcall('GETRANGE', KEYS[1], 0, %d) ~= ARGV[1] then return 0 end
local px = tonumber(ARGV[3])
if px < 0 then
	redis.call('UNLINK', KEYS[1])
	return 1
end
if ARGV[2] ~= '' then redis.call('SETRANGE', KEYS[1], 0, ARGV[2]) end
if px == 0 then
	redis.call('PERSIST', KEYS[1])
else
	redis.call('PEXPIRE', KEYS[1], ARGV[3])
end
return 1`, codec.HeaderSize-1))

	// replaceScript: KEYS key; ARGV seen, data, px. 1 if seen was there, and data now is.
	replaceScript = redis.NewScript(luaPut + `
if redis.pcall('GET', KEYS[1]) ~= ARGV[1] then return 0 end
put(KEYS[1], ARGV[2], ARGV[3])
return 1`)

	// incrScript: KEYS key; ARGV delta, data of a missing counter or nothing, px of the same. The new
	// value as a string, or one of the numbers below, or a list of what is there, which is no integer.
	incrScript = redis.NewScript(luaPut + fmt.Sprintf(`
local there = redis.pcall('GET', KEYS[1])
if type(there) == 'table' and not string.find(there.err, 'WRONGTYPE', 1, true) then return there end
if type(there) ~= 'string' then
	if ARGV[2] == '' then return %[1]d end
	put(KEYS[1], ARGV[2], ARGV[3])
	return ARGV[2]
end
local r = redis.pcall('INCRBY', KEYS[1], ARGV[1])
if type(r) == 'table' and r.err then
	if string.find(r.err, 'overflow', 1, true) then return %[2]d end
	if string.find(r.err, 'not an integer', 1, true) then return {there} end
	return r
end
return redis.call('GET', KEYS[1])`, incrMiss, incrOverflow))

	// readScript: KEYS key. What is there, and its PTTL.
	readScript = redis.NewScript(`
return {redis.call('GET', KEYS[1]), redis.call('PTTL', KEYS[1])}`)
)

// Numbers that incrScript returns.
const (
	incrMiss = iota
	incrOverflow
)

// luaFresh defines fresh(key, now): whether there is a counter, that is a decimal number of 64 bits as
// Redis writes it, or a frame that this version reads and whose Fresh is 0 or after now. Checksums are
// not checked.
var luaFresh = fmt.Sprintf(`
local function fresh(key, now)
	local h = redis.pcall('GETRANGE', key, 0, %d)
	if type(h) ~= 'string' or h == '' then return false end
	if h == '0' then return true end
	local minus, digits = string.match(h, '^(%%-?)([1-9]%%d*)$')
	if digits then return #digits < 19 or #digits == 19 and digits <= (minus == '' and '9223372036854775807' or '9223372036854775808') end
	if #h < %d or string.sub(h, 1, %d) ~= '%s' then return false end
	local version = string.byte(h, %d)
	if version < 1 or version > %d then return false end
	if string.byte(h, %d) > 127 then return false end
	local at = 0
	for i = %d, %d do at = at * 256 + string.byte(h, i) end
	return at == 0 or at > now
end`,
	codec.HeaderSize-1, codec.HeaderSize, len(magic()), luaBytes(magic()), len(magic())+1, codec.FrameVersion,
	codec.FreshOffset+1, codec.FreshOffset+1, codec.FreshOffset+8)

// luaPut defines put(key, data, px).
const luaPut = `
local function put(key, data, px)
	if tonumber(px) < 0 then return redis.call('UNLINK', key) end
	if tonumber(px) == 0 then return redis.call('SET', key, data) end
	return redis.call('SET', key, data, 'PX', px)
end`

// magic is what every frame begins with, the byte before its version.
func magic() []byte {
	h, err := codec.Header("", &store.Entry{})
	if err != nil {
		return nil // an empty entry fits into a frame
	}
	for i := range h {
		if codec.IsFrame(h[:i]) {
			return h[:i]
		}
	}
	return h
}

// luaBytes returns b as it is written between the quotes of a Lua string.
func luaBytes(b []byte) (s string) {
	for _, c := range b {
		s += fmt.Sprintf(`\%03d`, c)
	}
	return s
}

// call is one run of a script.
type call struct {
	keys []string
	args []any
}

// run runs a script once for each call, all in one round trip, and in a second one those whose server
// did not know the script. Failures are those of the commands.
func (s *Store) run(ctx context.Context, script *redis.Script, calls []call) []*redis.Cmd {
	if len(calls) == 1 {
		return []*redis.Cmd{script.Run(ctx, s.client, calls[0].keys, calls[0].args...)}
	}
	cmds := make([]*redis.Cmd, len(calls))
	s.pipeline(ctx, func(p redis.Pipeliner) {
		for i, c := range calls {
			cmds[i] = script.EvalSha(ctx, p, c.keys, c.args...)
		}
	})
	var unknown []int
	for i, cmd := range cmds {
		if redis.HasErrorPrefix(cmd.Err(), "NOSCRIPT") {
			unknown = append(unknown, i)
		}
	}
	if len(unknown) > 0 {
		s.pipeline(ctx, func(p redis.Pipeliner) {
			for _, i := range unknown {
				cmds[i] = script.Eval(ctx, p, calls[i].keys, calls[i].args...)
			}
		})
	}
	return cmds
}

// pipeline sends what queue queues. Each command has its own error afterwards.
func (s *Store) pipeline(ctx context.Context, queue func(redis.Pipeliner)) {
	// The error is that of the first command which failed.
	_, _ = s.client.Pipelined(ctx, func(p redis.Pipeliner) error {
		queue(p)
		return nil
	})
}
