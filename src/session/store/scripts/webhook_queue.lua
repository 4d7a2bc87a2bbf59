-- The queue of a deployment's webhooks, in a slot of its own: `queue`, a stream whose ids are the numbers of its events;
-- `claim`, who sends; `moved`, the last event of each partition that is in it; `state`, its name and what was given up.
-- ARGV: what, sender, claim (ms), and
--   poll: most events, name of a new queue. Returns its name, the oldest events, how many wait, and how many were given up since
--   append: most that wait, how many were given up elsewhere, name of a new queue, and partition, id and event of each. In the order of ids
--   settle: number up to which events are done, id of that event. Nothing is done where the queue has another one there: it was lost
--   release
-- Returns false where another sends.
local what, sender, lease = ARGV[3], ARGV[4], ARGV[5]
local claim, queue, moved, state = base .. 'claim', base .. 'queue', base .. 'moved', base .. 'state'
local holder = redis.call('GET', claim)
if holder and holder ~= sender then return false end
if what == 'release' then return redis.call('DEL', claim) end
redis.call('SET', claim, sender, 'PX', lease)

-- A queue that was lost numbers anew, so that it has another name.
local function name_of(fresh)
  local name = redis.call('EXISTS', queue) == 1 and redis.call('HGET', state, 'name')
  if not name then
    name = fresh
    redis.call('HSET', state, 'name', name)
  end
  return name
end

local result = 1
if what == 'poll' then
  local name = name_of(ARGV[7])
  local lost = redis.call('HGET', state, 'lost') or '0'
  redis.call('HDEL', state, 'lost')
  result = { name, redis.call('XRANGE', queue, '-', '+', 'COUNT', ARGV[6]), redis.call('XLEN', queue), tonumber(lost) }
elseif what == 'append' then
  local limit, lost, last = tonumber(ARGV[6]), tonumber(ARGV[7]), 0
  name_of(ARGV[8])
  if redis.call('EXISTS', queue) == 1 then
    local info = redis.call('XINFO', 'STREAM', queue)
    for i = 1, #info, 2 do
      if info[i] == 'last-generated-id' then last = tonumber(string.match(info[i + 1], '^(%d+)-')) end
    end
  end
  local function is_after(id, other)
    local ms, number = string.match(id, '^(%d+)-(%d+)$')
    local other_ms, other_number = string.match(other or '0-0', '^(%d+)-(%d+)$')
    ms, number, other_ms, other_number = tonumber(ms), tonumber(number), tonumber(other_ms), tonumber(other_number)
    return ms > other_ms or (ms == other_ms and number > other_number)
  end
  for i = 9, #ARGV, 3 do
    local partition, id, event = ARGV[i], ARGV[i + 1], ARGV[i + 2]
    -- Who was here before, and ended before it could strike the event off there, is no reason to tell it twice.
    if is_after(id, redis.call('HGET', moved, partition)) then
      last = last + 1
      redis.call('XADD', queue, string.format('%d-0', last), 'id', id .. '.' .. partition, 'e', event)
      redis.call('HSET', moved, partition, id)
    end
  end
  local over = redis.call('XLEN', queue) - limit
  if over > 0 then
    redis.call('XTRIM', queue, 'MAXLEN', limit)
    lost = lost + over
  end
  if lost > 0 then redis.call('HINCRBY', state, 'lost', lost) end
elseif what == 'settle' then
  local place = string.format('%d-0', tonumber(ARGV[6]))
  local row = redis.call('XRANGE', queue, place, place)[1]
  local id = place
  for i = 1, row and #row[2] or 0, 2 do
    if row[2][i] == 'id' then id = row[2][i + 1] end
  end
  if row and id == ARGV[7] then redis.call('XTRIM', queue, 'MINID', string.format('%d-0', tonumber(ARGV[6]) + 1)) end
end
for _, key in ipairs({ queue, moved, state }) do redis.call('PEXPIRE', key, 604800000) end
return result
