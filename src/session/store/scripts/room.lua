-- Changes one membership of a room: enter, disconnect, away (no longer present) or leave. Every change can be repeated,
-- and one of an older connection changes nothing. ARGV: change, room, client, session, generation, worker
local change, room, client, session, worker = ARGV[3], ARGV[4], ARGV[5], ARGV[6], ARGV[8]
local generation = tonumber(ARGV[7])
local members, present, sorted, interest =
  base .. 'r:' .. room, base .. 'rp:' .. room, base .. 'rz:' .. room, base .. 'ri:' .. room

-- A member's value: generation|worker|connected|present
local function parse(value)
  if not value then return nil end
  local g, w, c, p = string.match(value, '^(%d+)|([^|]*)|(%d)|(%d)$')
  return g and { generation = tonumber(g), worker = w, connected = c == '1', present = p == '1' }
end

local before = parse(redis.call('HGET', members, session))
if before and before.generation > generation then return { 0, redis.call('ZCARD', sorted), position_of('room', room) } end
if not before and change ~= 'enter' then return { 0, redis.call('ZCARD', sorted), position_of('room', room) } end

local after = nil
if change == 'enter' then
  after = { generation = generation, worker = worker, connected = true, present = true }
elseif change == 'disconnect' then
  after = { generation = generation, worker = before.worker, connected = false, present = before.present }
elseif change == 'away' then
  after = { generation = generation, worker = before.worker, connected = false, present = false }
end

if after then
  redis.call('HSET', members, session, string.format('%d|%s|%d|%d', after.generation, after.worker,
    after.connected and 1 or 0, after.present and 1 or 0))
else
  redis.call('HDEL', members, session)
end

-- A count that somebody has spoilt is counted again where that is possible, or begins anew.
local function add(key, field, by, recount)
  local count = redis.call('HGET', key, field) or '0'
  if string.find(count, '^%d+$') then
    count = tonumber(count) + by
  else
    count = recount and recount() or math.max(0, by)
  end
  if count > 0 then redis.call('HSET', key, field, string.format('%d', count)) else redis.call('HDEL', key, field) end
  return count
end
local function add_interest(of, by)
  add(interest, of, by, function()
    local count = 0
    for _, value in ipairs(redis.call('HVALS', members)) do
      local member = parse(value)
      if member and member.connected and member.worker == of then count = count + 1 end
    end
    return count
  end)
end
local reads_before, reads_after = before and before.connected and before.worker, after and after.connected and after.worker
if reads_before ~= reads_after then
  if reads_before then add_interest(reads_before, -1) end
  if reads_after then add_interest(reads_after, 1) end
end

local told = nil
local was, is = before ~= nil and before.present, after ~= nil and after.present
if is and not was then
  if add(present, client, 1) == 1 then
    redis.call('ZADD', sorted, 0, client)
    told = 'joined'
  end
elseif was and not is then
  if add(present, client, -1) <= 0 then
    redis.call('ZREM', sorted, client)
    told = 'left'
  end
end
local count = redis.call('ZCARD', sorted)
if told then
  if webhook and count == (told == 'joined' and 1 or 0) then webhook.change('r|' .. room, count == 1) end
  for _, to in ipairs(redis.call('HKEYS', interest)) do
    tell(to, { type = 'presence', room = room, client = client, change = told, count = count })
  end
end
-- Who calls a service has to know where its providers are.
if string.sub(room, 1, 1) == '~' then
  local watchers = base .. 'rw:' .. room
  redis.call('ZREMRANGEBYSCORE', watchers, '-inf', now())
  for _, to in ipairs(redis.call('ZRANGE', watchers, 0, -1)) do tell(to, { type = 'members', room = room }) end
end
touch(members, present, sorted, interest)
if change == 'enter' then touch_log('room', room) end
return { before and 1 or 0, count, position_of('room', room) }
