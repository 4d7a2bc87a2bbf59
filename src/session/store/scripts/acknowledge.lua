-- What was kept for a client has reached it. ARGV: client, session, generation, id of the last
if not is_current(ARGV[3], ARGV[4], ARGV[5]) then return 0 end
local meta = base .. 'l:inbox:' .. ARGV[3] .. ':m'
local kept = redis.pcall('HGET', meta, 'kept')
if type(kept) ~= 'string' or string.match(kept, '(%S*)$') ~= ARGV[6] then return 0 end
return redis.call('HDEL', meta, 'kept')
