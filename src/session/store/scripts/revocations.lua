-- Revocations above a number, and the newest number. ARGV: number
local list = base .. 'list'
return { tonumber(redis.call('GET', base .. 'number') or '0'), redis.call('ZRANGEBYSCORE', list, '(' .. ARGV[3], '+inf') }
