-- KEYS: last, before. ARGV: id, marks, new content ("" for unchanged).
-- Returns: 1 when the message is known.
for _, key in ipairs(KEYS) do
	local value = redis.call('GET', key) or ''
	local head, id, from = string.match(value, '^(%S+ (%S+) )%S*\n()')
	if id == ARGV[1] then
		local rest = ARGV[3]
		if rest == '' then
			rest = string.sub(value, from)
		end
		redis.call('SET', key, head .. ARGV[2] .. '\n' .. rest, 'PX', math.max(redis.call('PTTL', key), 1))
		return 1
	end
end
return 0
