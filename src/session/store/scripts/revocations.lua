-- Revocations above a number, the oldest first, and the number to go on from. ARGV: number, most at once
local list, most = base .. 'list', tonumber(ARGV[4])
local found = redis.call('ZRANGEBYSCORE', list, '(' .. ARGV[3], '+inf', 'LIMIT', 0, most)
local last = found[most] and redis.call('ZSCORE', list, found[most]) or redis.call('GET', base .. 'number')
return { tonumber(last or '0'), found }
