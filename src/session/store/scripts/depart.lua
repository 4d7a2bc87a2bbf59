-- The presence grace of a waiting session is over. Returns its rooms. ARGV: client, session, generation
local client, session, generation = ARGV[3], ARGV[4], ARGV[5]
if not is_current(client, session, generation) then return {} end
if redis.call('HGET', session_key(session), 'connected') == '1' then return {} end
redis.call('HSET', session_key(session), 'present', '0')
update_online(client)
local rooms = redis.call('SMEMBERS', rooms_key(session))
for _, room in ipairs(rooms) do plan(5000, 'away', client, session, generation, room) end
return rooms
