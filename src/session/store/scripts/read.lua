-- Entries after an id. ARGV: kind, name, epoch or empty, offset, tag, limit
local log = base .. 'l:' .. ARGV[3] .. ':' .. ARGV[4]
local epoch, offset, tag, limit = ARGV[5], tonumber(ARGV[6]), ARGV[7], tonumber(ARGV[8])
local state = redis.call('HMGET', log .. ':m', 'epoch', 'top')
local first = redis.call('XRANGE', log, '-', '+', 'COUNT', 1)[1]
local top = tonumber(state[2] or '0')
local oldest = first and tonumber(string.match(first[1], '^(%d+)')) or top + 1
local start, status = oldest, 'entries'
if epoch ~= '' then
  if epoch ~= state[1] or offset > top then return { 'lost', state[1] or '' } end
  if offset >= oldest and #redis.call('XRANGE', log, offset .. '-' .. tag, offset .. '-' .. tag) == 0 then
    return { 'lost', state[1] }
  end
  if offset + 1 < oldest then status = 'gap' else start = offset + 1 end
end
local entries = redis.call('XRANGE', log, start .. '-0', '+', 'COUNT', limit + 1)
return { status, state[1] or '', tostring(oldest), entries }
