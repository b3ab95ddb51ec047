-- KEYS: session, last, reply.
-- ARGV: by (microseconds), stream, seq, ver loaded, ver new, sent_at, gone, state, path, rev, timeout ms, fixed, reply,
--       reply kept ms, last kept ms.
-- Returns: outcome, stored reply.
local stored = redis.call('GET', KEYS[3])
if stored then
	return { 'before', stored }
end
local last = redis.call('HMGET', KEYS[2], 'stream', 'seq')
if last[1] == ARGV[2] and tonumber(last[2]) >= tonumber(ARGV[3]) then
	return { 'before', '' }
end
local now = redis.call('TIME')
if now[1] * 1000000 + now[2] > tonumber(ARGV[1]) then
	return { 'late', '' }
end
if (redis.call('HGET', KEYS[1], 'ver') or '') ~= ARGV[4] then
	return { 'moved', '' }
end
if ARGV[7] == '1' then
	redis.call('DEL', KEYS[1])
else
	local old = redis.call('PTTL', KEYS[1])
	redis.call('HSET', KEYS[1], 'path', ARGV[9], 'rev', ARGV[10], 'state', ARGV[8], 'ver', ARGV[5])
	if ARGV[12] == '0' or old <= 0 then
		redis.call('PEXPIRE', KEYS[1], ARGV[11])
	end
end
redis.call('HSET', KEYS[2], 'stream', ARGV[2], 'seq', ARGV[3], 'sent_at', ARGV[6])
redis.call('PEXPIRE', KEYS[2], ARGV[15])
redis.call('SET', KEYS[3], ARGV[13], 'PX', ARGV[14])
return { 'stored', '' }
