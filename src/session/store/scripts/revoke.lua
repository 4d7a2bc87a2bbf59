-- Revocations, in a slot of their own: `list` by number, `ends` by when they are over.
-- ARGV: revocation, until (ms), most that are kept. Returns its number; 0 where there are too many.
local list, ends, text = base .. 'list', base .. 'ends', ARGV[3]
for _, over in ipairs(redis.call('ZRANGEBYSCORE', ends, '-inf', now())) do
  redis.call('ZREM', list, over)
  redis.call('ZREM', ends, over)
end
if redis.call('ZCARD', list) >= tonumber(ARGV[5]) then return 0 end
local number = redis.call('INCR', base .. 'number')
redis.call('ZADD', list, number, text)
redis.call('ZADD', ends, ARGV[4], text)
for _, key in ipairs({ list, ends, base .. 'number' }) do
  -- Never sooner than the last of them; `GT` does nothing to a key without an end.
  local left = tonumber(ARGV[4]) - now() + ttl
  if redis.call('PTTL', key) < left then redis.call('PEXPIRE', key, math.floor(left)) end
end
return number
