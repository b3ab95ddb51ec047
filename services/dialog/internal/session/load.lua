-- KEYS: session, last, before, memo.
-- Returns: now (microseconds), whether there is a session, last, before, memo.
local now = redis.call('TIME')
return {
	string.format('%.0f', now[1] * 1000000 + now[2]), redis.call('EXISTS', KEYS[1]),
	redis.call('GET', KEYS[2]) or '', redis.call('GET', KEYS[3]) or '', redis.call('GET', KEYS[4]) or '',
}
