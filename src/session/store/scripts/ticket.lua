-- A ticket, of use once. ARGV: id, then what it is good for and how long (ms) to keep it; without them it is used up.
local key = base .. ARGV[3]
if not ARGV[4] then return redis.call('GETDEL', key) end
return redis.call('SET', key, ARGV[4], 'PX', ARGV[5])
