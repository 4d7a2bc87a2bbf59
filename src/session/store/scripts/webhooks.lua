-- What one partition has to tell: changes that have lasted become events, and the oldest events are returned, with how many
-- were given up here. ARGV: last event that has reached the queue, or empty; most events; cursor of a look over what was told
-- whose end nobody saw (its keys were lost), or empty
local taken, limit, cursor = ARGV[3], tonumber(ARGV[4]), ARGV[5]
if taken ~= '' then
  local ms, number = string.match(taken, '^(%d+)-(%d+)$')
  redis.call('XTRIM', webhook.out, 'MINID', string.format('%s-%d', ms, tonumber(number) + 1))
end

local function is_on(subject)
  local kind, name, session = string.match(subject, '^(%a)|([^|]*)|?(.*)$')
  if kind == 'r' then return redis.call('ZCARD', base .. 'rz:' .. name) > 0 end
  return redis.call('EXISTS', session_key(session)) == 1
end

local due = redis.call('ZRANGEBYSCORE', webhook.due, '-inf', now(), 'WITHSCORES', 'LIMIT', 0, 500)
for i = 1, #due, 2 do webhook.tell(due[i], is_on(due[i]), tonumber(due[i + 1]) - debounce) end

if cursor ~= '' then
  local page = redis.call('HSCAN', webhook.told, cursor, 'COUNT', 500)
  cursor = page[1]
  for i = 1, #page[2], 2 do
    if not is_on(page[2][i]) then webhook.change(page[2][i], false) end
  end
  webhook.keep(webhook.due, webhook.told, webhook.out)
end

local lost = redis.call('GETDEL', webhook.lost)
return { redis.call('XRANGE', webhook.out, '-', '+', 'COUNT', limit), tonumber(lost or 0), cursor }
