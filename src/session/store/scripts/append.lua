-- Stores an entry and publishes it. The stream write comes first: it is the only one that can fail (memory), and a script
-- is no transaction. ARGV: kind, name, sender, seq, only, skip, body, most entries, most bytes, log ttl, fresh epoch, tag,
-- generation of the sender, first number that may still come or empty, time to live or empty, keep or empty, ttl of kept ones
local kind, name, sender, seq = ARGV[3], ARGV[4], ARGV[5], ARGV[6]
local only, skip, body = ARGV[7], ARGV[8], ARGV[9]
local most_entries, most_bytes, log_ttl = tonumber(ARGV[10]), tonumber(ARGV[11]), tonumber(ARGV[12])
local generation, first, expires_in = tonumber(ARGV[15]), tonumber(ARGV[16]) or 0, tonumber(ARGV[17])
local unread = false
local log = base .. 'l:' .. kind .. ':' .. name
local meta, senders = log .. ':m', log .. ':q'

local workers, exists = {}, kind == 'room'
if kind == 'room' then
  workers = redis.call('HKEYS', base .. 'ri:' .. name)
else
  local seen = {}
  for _, session in ipairs(redis.call('SMEMBERS', client_key(name))) do
    local place = redis.call('HMGET', session_key(session), 'worker', 'connected')
    if place[1] and (only == '' or only == session) then
      exists = true
      if place[2] == '1' and not seen[place[1]] then
        seen[place[1]] = true
        table.insert(workers, place[1])
      end
    end
  end
end
if not exists then
  if ARGV[18] == '' or seq == '0' or only ~= '' then return { 'absent' } end
  unread = true
end

local function publish(id)
  for _, worker in ipairs(workers) do
    tell(worker, { type = 'entry', kind = kind, name = name, id = id, only = only, skip = skip }, body)
  end
end
if seq == '0' then
  publish('')
  return { 'accepted', '' }
end

if redis.call('EXISTS', meta) == 0 then redis.call('DEL', log, senders) end
-- Of each sender: last number (none where it has sent none), offset of its last entry, newest generation seen.
local last, offset, newest = string.match(redis.call('HGET', senders, sender) or '', '^(%d*):(%d+):(%d+)$')
if newest and generation < tonumber(newest) then return { 'superseded' } end
if seq ~= '' then
  local number = tonumber(seq)
  local following = (tonumber(last or '') or 0) + 1
  local expected = math.max(following, first)
  if number ~= expected then
    -- Nothing is stored, but the older connection is refused from now on; without memory the answer matters more.
    if newest and generation > tonumber(newest) then
      redis.pcall('HSET', senders, sender, last .. ':' .. offset .. ':' .. ARGV[15])
    end
    if number < following then return { 'duplicate' } end
    return { 'out_of_order', string.format('%d', expected) }
  end
end
local state = redis.call('HMGET', meta, 'epoch', 'top', 'bytes', 'last', 'kept')
local epoch, top, bytes = state[1] or ARGV[13], (tonumber(state[2] or '0') or 0) + 1, (tonumber(state[3] or '0') or 0) + #body
local place = string.format('%d-%s', top, ARGV[14])
local fields = { 'o', only, 'k', skip, 'b', body }
if expires_in then
  table.insert(fields, 'x')
  table.insert(fields, string.format('%d', now() + expires_in))
end
if unread then
  table.insert(fields, 'f')
  table.insert(fields, 'kept')
end
local added = redis.pcall('XADD', log, place, unpack(fields))
if type(added) == 'table' and added.err then
  if not string.find(added.err, 'equal or smaller') then return redis.error_reply(added.err) end
  -- Somebody else wrote into the log: what is in it cannot be told apart, a new one begins.
  redis.call('DEL', log, senders)
  epoch, top, bytes = ARGV[13], 1, #body
  place = string.format('%d-%s', top, ARGV[14])
  state[4], state[5] = nil, nil
  redis.call('HDEL', meta, 'kept')
  redis.call('XADD', log, place, unpack(fields))
end
local length = redis.call('XLEN', log)
if length == 1 then bytes = #body end
while length > 1 and (length > most_entries or bytes > most_bytes) do
  local oldest = redis.call('XRANGE', log, '-', '+', 'COUNT', 1)[1]
  bytes = bytes - #oldest[2][6]
  redis.call('XDEL', log, oldest[1])
  length = length - 1
end
local id = epoch .. ':' .. place
redis.call('HSET', meta, 'epoch', epoch, 'top', top, 'bytes', bytes, 'last', place)
if unread then
  local after = state[5] and string.match(state[5], '^(%S*)') or (state[4] and epoch .. ':' .. state[4] or '')
  state[5] = after .. ' ' .. id
  redis.call('HSET', meta, 'kept', state[5])
end
if seq == '' then seq = last or '' end
redis.call('HSET', senders, sender, string.format('%s:%d:%d', seq, top, generation))
if redis.call('HLEN', senders) > 2 * most_entries then
  local known = redis.call('HGETALL', senders)
  for i = 1, #known, 2 do
    local seen = tonumber(string.match(known[i + 1], '^%d*:(%d+):'))
    if not seen or seen <= top - most_entries then redis.call('HDEL', senders, known[i]) end
  end
end
redis.call('PEXPIRE', log, state[5] and ARGV[19] or log_ttl)
-- The place in the log outlives its entries: who asks for one of them is told that it is missing.
for _, key in ipairs({ meta, senders }) do redis.call('PEXPIRE', key, state[5] and math.max(ttl, tonumber(ARGV[19])) or ttl) end
publish(id)
return { 'accepted', id }
