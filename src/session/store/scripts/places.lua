-- Where the present members of a room are. ARGV: room, watcher or empty, how long it watches (ms), watch even if empty, limit
local room, watcher, always, limit = ARGV[3], ARGV[4], ARGV[6] == '1', tonumber(ARGV[7])
local places = {}
-- All of them, or so many at random.
local members = redis.call('HRANDFIELD', base .. 'r:' .. room, limit, 'WITHVALUES')
for i = 1, #members, 2 do
  -- As room.lua writes it.
  local generation, worker, connected, present = string.match(members[i + 1], '^(%d+)|([^|]*)|(%d)|(%d)$')
  if present == '1' then table.insert(places, { members[i], generation, worker, connected }) end
end
if watcher ~= '' and (always or #places > 0) then
  local watchers = base .. 'rw:' .. room
  redis.call('ZADD', watchers, now() + tonumber(ARGV[5]), watcher)
  redis.call('PEXPIRE', watchers, ARGV[5])
end
return places
