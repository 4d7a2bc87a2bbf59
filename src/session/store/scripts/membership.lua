-- The session's own list of rooms. ARGV: client, session, generation, room, add, remove or check, rooms limit
local client, session, generation, room = ARGV[3], ARGV[4], ARGV[5], ARGV[6]
if not is_current(client, session, generation) then return 'superseded' end
local rooms = rooms_key(session)
if ARGV[7] == 'check' then return redis.call('SISMEMBER', rooms, room) == 1 and 'in' or 'absent' end
if ARGV[7] == 'remove' then return redis.call('SREM', rooms, room) == 1 and 'removed' or 'absent' end
if redis.call('SISMEMBER', rooms, room) == 0 then
  if redis.call('SCARD', rooms) >= tonumber(ARGV[8]) then return 'limit' end
  redis.call('SADD', rooms, room)
end
touch(rooms)
return 'added'
