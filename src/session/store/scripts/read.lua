-- Entries of a log. ARGV: kind, name, limit, how many of the last or empty, epoch or empty, place, most bytes of bodies
-- Returns status, where the log stands, how many are missing, offset of the first, entries: place and fields, which those
-- whose time is over have not, epoch, and 1 where more were found than may go at once.
local log, limit, last = base .. 'l:' .. ARGV[3] .. ':' .. ARGV[4], tonumber(ARGV[5]), tonumber(ARGV[6])
local asked, place = ARGV[7], ARGV[8]
local epoch, top, tag = parse_state(redis.pcall('HGET', log .. ':m', 'state'))
local own = epoch and string.format('%d-%s', top, tag)
epoch, top = epoch or '', top or 0
local position = own and epoch .. ':' .. own or ''
-- Nothing of ours stands behind the top.
local ending = string.format('%d-18446744073709551615', top)
local eldest = redis.pcall('XRANGE', log, '-', ending, 'COUNT', 1)[1]
local oldest = eldest and math.max(1, tonumber(string.match(eldest[1], '^(%d+)'))) or top + 1
local start, missing = oldest, 0
if last then
  start = math.max(oldest, top - last + 1)
else
  local offset = tonumber(string.match(place, '^(%d+)')) or 0
  if asked ~= '' then
    if asked ~= epoch or offset > top then return { 'lost', position } end
    if offset == top then
      if place ~= own then return { 'lost', position } end
    elseif offset >= oldest then
      -- Where nothing is, somebody took it out; where another is, this store never gave out the place.
      local is_known = false
      local found = redis.call('XRANGE', log, string.format('%d-0', offset), string.format('%d-18446744073709551615', offset))
      for _, entry in ipairs(found) do is_known = is_known or entry[1] == place end
      if #found > 0 and not is_known then return { 'lost', position } end
    end
  end
  start = math.max(offset + 1, oldest)
  missing = start - offset - 1
end
local entries = redis.pcall('XRANGE', log, string.format('%d-0', start), ending, 'COUNT', limit + 1)
if entries.err then entries = {} end
-- One always goes.
local bytes, cut = 0, 0
for i, entry in ipairs(entries) do
  bytes = bytes + #(entry[2][4] or '')
  if i > 1 and bytes > tonumber(ARGV[9]) then
    for last = #entries, i, -1 do entries[last] = nil end
    cut = 1
    break
  end
end
local time = nil
for _, entry in ipairs(entries) do
  for i = 5, #entry[2], 2 do
    if entry[2][i] == 'x' then
      time = time or now()
      if (tonumber(entry[2][i + 1]) or math.huge) <= time then
        entry[2] = nil
        break
      end
    end
  end
end
return { 'entries', position, missing, start, entries, epoch, cut }
