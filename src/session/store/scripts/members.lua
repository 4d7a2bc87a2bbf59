-- A page of a room's clients. ARGV: room, after or empty, limit
local sorted = base .. 'rz:' .. ARGV[3]
local from = ARGV[4] == '' and '-' or '(' .. ARGV[4]
local clients = redis.call('ZRANGEBYLEX', sorted, from, '+', 'LIMIT', 0, tonumber(ARGV[5]) + 1)
local sessions = {}
if #clients > 0 then sessions = redis.call('HMGET', base .. 'rp:' .. ARGV[3], unpack(clients)) end
return { redis.call('ZCARD', sorted), clients, sessions }
