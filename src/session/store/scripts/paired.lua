-- The pairs that clients of this partition are claimed for, in the order asked. ARGV: clients
local keys = {}
for i = 3, #ARGV do keys[i - 2] = base .. 'pair:' .. ARGV[i] end
return redis.call('MGET', unpack(keys))
