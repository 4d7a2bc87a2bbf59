-- The claim of a pair on one client. ARGV: client, claim or hold or free, pair, how long it holds (ms)
local key, pair = base .. 'pair:' .. ARGV[3], ARGV[5]
local held = redis.call('GET', key)
if ARGV[4] == 'free' then
  if held == pair then redis.call('DEL', key) end
  return 1
end
-- A claim that has lapsed is not held any more, but anybody's to make.
if held ~= pair and (held or ARGV[4] == 'hold') then return 0 end
redis.call('SET', key, pair, 'PX', ARGV[6])
return 1
