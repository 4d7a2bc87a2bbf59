-- The session's own list of rooms. ARGV: client, session, generation, room, add or remove, rooms limit
local client, session, generation, room = ARGV[3], ARGV[4], ARGV[5], ARGV[6]
if not is_current(client, session, generation) then return 'superseded' end
local rooms = rooms_key(session)
if ARGV[7] == 'remove' then
  if redis.call('SREM', rooms, room) == 0 then return 'absent' end
  plan(5000, 'leave', client, session, generation, room)
  return 'removed'
end
if redis.call('HGET', session_key(session), 'connected') ~= '1' then return 'superseded' end
if redis.call('SISMEMBER', rooms, room) == 0 then
  if redis.call('SCARD', rooms) >= tonumber(ARGV[8]) then return 'limit' end
  redis.call('SADD', rooms, room)
  strike('leave', client, session, generation, room)
end
touch(rooms)
return 'added'
