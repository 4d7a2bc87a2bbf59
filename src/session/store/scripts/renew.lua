-- A sign of life of a session. One that was taken for lost is connected again; its rooms are returned, and whether it was.
-- ARGV: client, session, generation, worker
local client, session, generation, worker = ARGV[3], ARGV[4], ARGV[5], ARGV[6]
local record = redis.call('HMGET', session_key(session), 'client', 'generation', 'worker', 'connected')
-- A lower generation than that of a connection that lives is a write that a failover lost, or somebody's edit.
local known = record[1] == client and (tonumber(record[2]) or 0)
if not known or known > tonumber(generation) then
  local code = known and 'superseded' or 'session_ended_elsewhere'
  tell(worker, { type = 'fence', client = client, session = session, generation = tonumber(generation), code = code })
  return { 0, {} }
end
local back = record[4] ~= '1' or record[2] ~= generation or record[3] ~= worker
  or redis.call('HGET', client_key(client), session) ~= worker
if back then
  strike_all(client, session, generation)
  redis.call('HSET', session_key(session), 'generation', generation, 'worker', worker, 'connected', '1', 'present', '1')
  redis.call('HSET', client_key(client), session, worker)
  redis.call('SADD', base .. 'w:' .. worker, client .. '|' .. session)
  update_online(client)
  tell_route(client)
end
plan(ttl / 4, 'lapse', client, session, generation)
touch(session_key(session), rooms_key(session), client_key(client), base .. 'cw:' .. client, base .. 'w:' .. worker,
  base .. 'online')
touch_log('inbox', client)
return { back and 1 or 0, redis.call('SMEMBERS', rooms_key(session)) }
