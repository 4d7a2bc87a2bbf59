-- A dead worker's sessions wait from now on. Returns client, session, generation and rooms of each.
-- ARGV: worker, window, grace
local worker, found = ARGV[3], {}
for _, member in ipairs(redis.call('SMEMBERS', base .. 'w:' .. worker)) do
  local client, session = string.match(member, '^([^|]*)|(.*)$')
  local record = redis.call('HMGET', session_key(session), 'worker', 'connected', 'generation')
  if record[1] == worker and record[2] == '1' then
    local rooms = disconnect(client, session, record[3], tonumber(ARGV[4]), tonumber(ARGV[5]))
    table.insert(found, { client, session, record[3], rooms })
  end
end
redis.call('DEL', base .. 'w:' .. worker)
return found
