-- KEYS: session, last, reply. ARGV: stream, seq.
-- Returns: now (microseconds), state, ver, sent_at, reply, behind ("1" when a later message has been worked on).
local now = redis.call('TIME')
local session = redis.call('HMGET', KEYS[1], 'state', 'ver')
local last = redis.call('HMGET', KEYS[2], 'stream', 'seq', 'sent_at')
local behind = '0'
if last[1] == ARGV[1] and tonumber(last[2]) >= tonumber(ARGV[2]) then
	behind = '1'
end
return {
	string.format('%.0f', now[1] * 1000000 + now[2]),
	session[1] or '', session[2] or '', last[3] or '0', redis.call('GET', KEYS[3]) or '', behind,
}
