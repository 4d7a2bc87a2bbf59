-- Keeps a live session's keys. Returns what became of it, and its rooms. ARGV: client, session, generation, worker
local client, session, generation, worker = ARGV[3], ARGV[4], ARGV[5], ARGV[6]
local record = redis.call('HMGET', session_key(session), 'generation', 'worker', 'connected')
if not record[1] then return { 'session_ended_elsewhere', {} } end
if record[1] ~= generation or record[2] ~= worker then return { 'superseded', {} } end
local status = 'kept'
if record[3] ~= '1' then
  -- The worker was taken for dead and is not: its lease ran out while it could not reach this Redis.
  status = 'again'
  strike('depart', client, session, generation)
  strike('end', client, session, generation)
  redis.call('HSET', session_key(session), 'connected', '1', 'present', '1')
  redis.call('SADD', base .. 'w:' .. worker, client .. '|' .. session)
  update_online(client)
  tell_route(client)
end
touch(session_key(session), rooms_key(session), client_key(client), base .. 'cw:' .. client, base .. 'w:' .. worker,
  base .. 'online', base .. 'due')
return { status, redis.call('SMEMBERS', rooms_key(session)) }
