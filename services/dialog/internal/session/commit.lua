-- KEYS: session, last, before, memo.
-- ARGV: by (microseconds), place, id, whether there was a session, place loaded ("" for none), new last, new before, memo
--       ("" for unchanged), gone, path, rev, timeout ms, fixed, last kept ms, before kept ms, memo kept ms.
-- Returns: outcome, what was kept of this message.
local head = '^(%S+) (%S+) %S*\n'
local last = redis.call('GET', KEYS[2]) or ''
local place, id = string.match(last, head)
if id == ARGV[3] then
	return { 'before', last }
end
local before = redis.call('GET', KEYS[3]) or ''
local _, earlier = string.match(before, head)
if earlier == ARGV[3] then
	return { 'before', before }
end
place = place or ''
local stream, seq = string.match(place, '^(.*)/(%d+)$')
local mine, at = string.match(ARGV[2], '^(.*)/(%d+)$')
if stream == mine and tonumber(seq) >= tonumber(at) then
	return { 'before', '' }
end
local now = redis.call('TIME')
if now[1] * 1000000 + now[2] > tonumber(ARGV[1]) then
	return { 'late', '' }
end
if redis.call('EXISTS', KEYS[1]) ~= tonumber(ARGV[4]) or place ~= ARGV[5] then
	return { 'moved', '' }
end
if ARGV[9] == '1' then
	redis.call('DEL', KEYS[1])
else
	local left = redis.call('PTTL', KEYS[1])
	redis.call('HSET', KEYS[1], 'path', ARGV[10], 'rev', ARGV[11])
	if ARGV[13] == '0' or left <= 0 then
		redis.call('PEXPIRE', KEYS[1], ARGV[12])
	end
end
redis.call('SET', KEYS[2], ARGV[6], 'PX', ARGV[14])
if ARGV[7] ~= '' then
	redis.call('SET', KEYS[3], ARGV[7], 'PX', ARGV[15])
end
if ARGV[8] ~= '' then
	redis.call('SET', KEYS[4], ARGV[8], 'PX', ARGV[16])
else
	redis.call('PEXPIRE', KEYS[4], ARGV[16])
end
return { 'stored', '' }
