-- Begins every script. KEYS[1] is the partition's beginning of all keys, `<prefix>:{<tag>}:`; names follow it, so that
-- a script touches one slot only. ARGV[1] is the publish command, ARGV[2] how long untouched keys live (ms).
local base, publish_command, ttl = KEYS[1], ARGV[1], tonumber(ARGV[2])

local function now_micros()
  local time = redis.call('TIME')
  return time[1] * 1000000 + time[2]
end
local function now() return math.floor(now_micros() / 1000) end

local function touch(...)
  for _, key in ipairs({...}) do redis.call('PEXPIRE', key, ttl) end
end

-- An event for one worker: a line of JSON. (Entries are lines of words, see append.lua.)
local function tell(worker, event)
  redis.call(publish_command, base .. 'to:' .. worker, cjson.encode(event) .. '\n')
end

local function session_key(session) return base .. 's:' .. session end
local function rooms_key(session) return base .. 'sr:' .. session end
-- The sessions of a client: session → the worker that holds its connection, or empty while it waits.
local function client_key(client) return base .. 'cs:' .. client end

-- The state of a log, texts that end with a zero (a pattern over them costs ten times as much): epoch, top, tag of the
-- newest entry, bytes of all entries ever, bytes before the oldest that is known, number of senders, when its time to live
-- was set last (ms), whether something was kept for an absent client. Nil for what is none of ours.
local function parse_state(text)
  local is_ours, epoch, top, tag, total, before, count, touched, kept = pcall(struct.unpack, 'ssssssss', text or '')
  if not is_ours or not string.find(epoch, '^[%w_-]+$') or #epoch > 32 then return nil end
  local mark = tonumber(tag)
  top, total, before, count, touched = tonumber(top), tonumber(total), tonumber(before), tonumber(count), tonumber(touched)
  -- An id has no more than 15 digits.
  if not (top and mark and total and before and count and touched) or top < 1 or top >= 1e15 - 1 or top % 1 ~= 0
    or mark < 0 or mark >= 2 ^ 32 or total >= 1e15 or not (before <= total) then return nil end
  return epoch, top, tag, total, before, count, touched, kept
end
-- Where a log stands: the id of its newest entry, or empty.
local function position_of(kind, name)
  local epoch, top, tag = parse_state(redis.pcall('HGET', base .. 'l:' .. kind .. ':' .. name .. ':m', 'state'))
  return epoch and string.format('%s:%d-%s', epoch, top, tag) or ''
end
local function touch_log(kind, name)
  -- Never sooner than it would go anyway: what waits for an absent client may live longer than a session.
  redis.call('PEXPIRE', base .. 'l:' .. kind .. ':' .. name .. ':m', ttl, 'GT')
end

local function tell_route(client)
  local watchers = base .. 'cw:' .. client
  redis.call('ZREMRANGEBYSCORE', watchers, '-inf', now())
  for _, worker in ipairs(redis.call('ZRANGE', watchers, 0, -1)) do
    tell(worker, { type = 'route', client = client })
  end
end

-- Work for the sweep: done later, or done at once and struck off; a crash in between repeats it.
local function plan(delay, ...)
  redis.call('ZADD', base .. 'due', now() + delay, table.concat({...}, '|'))
  touch(base .. 'due')
end
local function strike(...)
  redis.call('ZREM', base .. 'due', table.concat({...}, '|'))
end

-- What waits for a session, whatever its state.
local function strike_all(client, session, generation)
  for _, kind in ipairs({ 'depart', 'end', 'lapse' }) do strike(kind, client, session, generation) end
end

-- Whether the reference is of the session's newest connection.
local function is_current(client, session, generation)
  local record = redis.call('HMGET', session_key(session), 'client', 'generation')
  -- Its record expired, or was evicted: nobody reads there any more.
  if not record[1] then redis.call('HDEL', client_key(client), session) end
  return record[1] == client and record[2] == generation
end

local function update_online(client)
  local present = false
  for _, session in ipairs(redis.call('HKEYS', client_key(client))) do
    if redis.call('HGET', session_key(session), 'present') == '1' then present = true end
  end
  local online = base .. 'online'
  if present then
    redis.call('ZADD', online, 0, client)
    touch(online)
  else
    redis.call('ZREM', online, client)
  end
end

-- Webhooks (ADR 0008): what the application is told of changes, written in the step that makes them. `debounce` is set by
-- who loads the scripts: how long a change must last (ms), or nil where nobody wants to be told.
-- `hd`: subjects by when their change has lasted; `ht`: subjects that the application knows, and since when; `ho`: events on
-- their way to the queue. A subject is `s|client|session` or `r|room`.
local webhook = nil
if debounce then
  local due, told, out, lost = base .. 'hd', base .. 'ht', base .. 'ho', base .. 'hx'
  local function keep(...)
    -- Longer than anything else here: a deployment that was down for days tells the rest when it is back.
    for _, key in ipairs({...}) do redis.call('PEXPIRE', key, 604800000) end
  end
  webhook = { due = due, told = told, out = out, lost = lost, keep = keep }

  -- Says now how a subject is, unless the application knows.
  function webhook.tell(subject, is_on, at, lost_at)
    local since = redis.call('HGET', told, subject)
    redis.call('ZREM', due, subject)
    if is_on == (since ~= false) then return end
    if is_on then redis.call('HSET', told, subject, at) else redis.call('HDEL', told, subject) end
    local kind, name, session = string.match(subject, '^(%a)|([^|]*)|?(.*)$')
    local event = { atMs = at }
    if not is_on then event.sinceMs = tonumber(since) or at end
    if kind == 'r' then
      event.type, event.room = is_on and 'occupied' or 'vacated', name
    else
      event.type, event.client, event.session = is_on and 'connect' or 'disconnect', name, session
      if not is_on then event.lostAtMs = tonumber(lost_at) or cjson.null end
    end
    -- Nobody takes them: the oldest go.
    if redis.call('XLEN', out) >= 2000 then
      redis.call('XTRIM', out, 'MAXLEN', 1999)
      redis.call('INCR', lost)
      keep(lost)
    end
    redis.call('XADD', out, '*', 'e', cjson.encode(event))
    keep(told, out)
  end

  -- A subject is another than before: told when that has lasted. The end of a session is final.
  function webhook.change(subject, is_on, lost_at)
    -- A room of a service: nobody's business, and others need the place.
    if is_on and string.sub(subject, 1, 3) == 'r|~' then return end
    if debounce == 0 or (not is_on and string.sub(subject, 1, 1) == 's') then
      return webhook.tell(subject, is_on, now(), lost_at)
    end
    -- As the application knows it: what was about to be told did not last.
    if is_on == (redis.call('HEXISTS', told, subject) == 1) then
      redis.call('ZREM', due, subject)
    else
      redis.call('ZADD', due, 'NX', now() + debounce, subject)
      keep(due)
    end
  end
end

-- The record goes; its rooms, which may live elsewhere, are returned and planned to be left.
local function remove(client, session)
  local record = redis.call('HMGET', session_key(session), 'generation', 'worker', 'connected', 'lostAt')
  local generation, worker = record[1] or '0', record[2] or ''
  if webhook then
    webhook.change('s|' .. client .. '|' .. session, false, record[3] == '0' and record[4] or nil)
  end
  local rooms = redis.call('SMEMBERS', rooms_key(session))
  for _, room in ipairs(rooms) do plan(5000, 'leave', client, session, generation, room) end
  redis.call('DEL', session_key(session), rooms_key(session))
  redis.call('HDEL', client_key(client), session)
  redis.call('SREM', base .. 'w:' .. worker, client .. '|' .. session)
  strike_all(client, session, generation)
  update_online(client)
  tell_route(client)
  if redis.call('HLEN', client_key(client)) == 0 then redis.call('DEL', base .. 'cw:' .. client) end
  return rooms, generation
end

local function disconnect(client, session, generation, window, grace)
  redis.call('HSET', session_key(session), 'connected', '0')
  if webhook then redis.call('HSET', session_key(session), 'lostAt', now()) end
  redis.call('HSET', client_key(client), session, '')
  strike('lapse', client, session, generation)
  plan(grace, 'depart', client, session, generation)
  plan(window, 'end', client, session, generation)
  local worker = redis.call('HGET', session_key(session), 'worker')
  redis.call('SREM', base .. 'w:' .. worker, client .. '|' .. session)
  tell_route(client)
  return redis.call('SMEMBERS', rooms_key(session))
end
