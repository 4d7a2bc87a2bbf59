-- Where all partitions are on one server: which of them have something to tell. ARGV: prefix of all keys, tags of the partitions
local moment, found = now(), {}
for i = 4, #ARGV do
  local of = ARGV[3] .. ':{' .. ARGV[i] .. '}:'
  if redis.call('EXISTS', of .. 'ho', of .. 'hd', of .. 'hx') > 0 then
    local first = redis.call('ZRANGE', of .. 'hd', 0, 0, 'WITHSCORES')
    if (first[2] and tonumber(first[2]) <= moment) or redis.call('XLEN', of .. 'ho') > 0
      or redis.call('EXISTS', of .. 'hx') == 1 then table.insert(found, i - 4) end
  end
end
return found
