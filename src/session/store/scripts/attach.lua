-- Begins or continues a session.
-- ARGV: client, worker, session to resume, its key's hash, fresh session, new key's hash, duplicates, sessions limit
local client, worker, wanted, hash, fresh, key = ARGV[3], ARGV[4], ARGV[5], ARGV[6], ARGV[7], ARGV[8]
local duplicates, limit = ARGV[9], tonumber(ARGV[10])

local session = fresh
if wanted ~= '' then
  local record = redis.call('HMGET', session_key(wanted), 'client', 'key', 'previousKey', 'generation', 'worker')
  local is_whole = string.find(record[4] or '', '^%d+$') and record[5]
  if is_whole and record[1] == client and (record[2] == hash or record[3] == hash) then session = wanted end
end
local resumed = session == wanted

local others, connected = {}, false
for _, other in ipairs(redis.call('HKEYS', client_key(client))) do
  local state = redis.call('HGET', session_key(other), 'connected')
  if not state then
    redis.call('HDEL', client_key(client), other)
  elseif other ~= session then
    table.insert(others, other)
    if state == '1' then connected = true end
  end
end

if duplicates == 'reject' and connected then return { 'duplicate_client' } end
local left = {}
local function end_session(other)
  local rooms, generation = remove(client, other)
  for _, room in ipairs(rooms) do
    table.insert(left, other)
    table.insert(left, generation)
    table.insert(left, room)
  end
end
if duplicates == 'replace' then
  for _, other in ipairs(others) do
    local record = redis.call('HMGET', session_key(other), 'connected', 'worker', 'generation')
    if record[1] == '1' then
      tell(record[2], { type = 'fence', client = client, session = other, generation = tonumber(record[3]), code = 'replaced' })
    end
    end_session(other)
  end
elseif not resumed and #others >= limit then
  -- Page reloads leave waiting sessions behind: the oldest of them makes room.
  local oldest, since = nil, nil
  for _, other in ipairs(others) do
    local record = redis.call('HMGET', session_key(other), 'connected', 'attachedAt')
    local at = tonumber(record[2]) or 0
    if record[1] ~= '1' and (not since or at < since) then oldest, since = other, at end
  end
  if not oldest then return { 'limit_exceeded' } end
  end_session(oldest)
end

local generation = 1
if resumed then
  local record = redis.call('HMGET', session_key(session), 'connected', 'worker', 'generation')
  generation = tonumber(record[3]) + 1
  if record[1] == '1' then
    tell(record[2], { type = 'fence', client = client, session = session, generation = tonumber(record[3]), code = 'superseded' })
    redis.call('SREM', base .. 'w:' .. record[2], client .. '|' .. session)
  end
  strike_all(client, session, record[3])
  -- The key that was used now stays good once more: its successor may get lost on the way.
  redis.call('HSET', session_key(session), 'previousKey', hash)
end
redis.call('HSET', session_key(session), 'client', client, 'generation', generation, 'worker', worker,
  'connected', '1', 'present', '1', 'key', key, 'attachedAt', now_micros())
redis.call('HSET', client_key(client), session, worker)
redis.call('SADD', base .. 'w:' .. worker, client .. '|' .. session)
touch(session_key(session), rooms_key(session), client_key(client), base .. 'w:' .. worker)
plan(ttl / 4, 'lapse', client, session, generation)
if webhook and not resumed then webhook.change('s|' .. client .. '|' .. session, true) end
update_online(client)
tell_route(client)
touch_log('inbox', client)
local position = position_of('inbox', client)
local kept = position ~= '' and redis.call('HGET', base .. 'l:inbox:' .. client .. ':m', 'kept') or ''
return { 'attached', session, generation, resumed and 1 or 0, redis.call('SMEMBERS', rooms_key(session)), left,
  position, kept }
