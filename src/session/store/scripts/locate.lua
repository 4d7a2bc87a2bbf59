-- The places of a client's sessions. ARGV: client, watcher or empty, how long it watches (ms)
local client, watcher = ARGV[3], ARGV[4]
local places = {}
for _, session in ipairs(redis.call('HKEYS', client_key(client))) do
  local record = redis.call('HMGET', session_key(session), 'generation', 'worker', 'connected', 'attachedAt')
  if record[1] then table.insert(places, { session, record[1], record[2], record[3], record[4] }) end
end
-- Nobody waits for a client that does not exist: a stranger could fill Redis with names.
if watcher ~= '' and #places > 0 then
  redis.call('ZADD', base .. 'cw:' .. client, now() + tonumber(ARGV[5]), watcher)
  redis.call('PEXPIRE', base .. 'cw:' .. client, ttl)
end
return places
