-- Stores a batch of entries, and publishes them as one message to each worker that holds readers.
-- ARGV: prefix of all keys, most entries, most bytes, log ttl, ttl of what is kept, a fresh epoch; then the words of all
-- entries, and their bodies, one after another. Each word ends with a zero, an empty one says none. Entries of one sender to
-- one log that follow each other are a run, which begins with: tag of the partition, kind, name, sender, its generation,
-- keep, only, who skips it. Then for each entry: number, first number that may still come, time to live, tag, bytes of
-- its body, and whether another one of the run follows.
-- Returns a line for each entry: `accepted <id> <readers>` (id `-`: volatile), `duplicate`, `superseded`, `absent`,
-- `out_of_order <expected>` or `failed`: nothing was written for it, and nobody was told.
local prefix, most_entries, most_bytes = ARGV[3], tonumber(ARGV[4]), tonumber(ARGV[5])
local log_ttl, kept_ttl, fresh_epoch = tonumber(ARGV[6]), tonumber(ARGV[7]), ARGV[8]
-- To trim at every entry would cost as much as all else of XADD: of a large log several go at once.
local trim_every = math.max(1, math.min(16, math.floor(most_entries / 16)))
local time = now()
local logs, changed, written = {}, {}, false
local letters, workers_told = {}, {}

local function add_letter(worker, header, body)
  local pieces = letters[worker]
  if not pieces then
    pieces = {}
    letters[worker] = pieces
    workers_told[#workers_told + 1] = worker
  end
  local n = #pieces
  pieces[n + 1], pieces[n + 2] = header, body
end

local function is_worker(text) return text == '' or string.find(text, '^[%w_-]+%.%d+$') end

-- Who reads: workers with connected readers, once each, and how many sessions; nil where there is nobody at all.
local function readers_of(log, only)
  if log.kind == 'room' then
    if not log.readers then
      local interest = redis.call('HGETALL', log.base .. 'ri:' .. log.name)
      log.readers, log.sessions = {}, 0
      for i = 1, #interest, 2 do
        log.readers[#log.readers + 1] = interest[i]
        log.sessions = log.sessions + (string.find(interest[i + 1], '^%d+$') and tonumber(interest[i + 1]) or 1)
      end
    end
    return log.readers, log.sessions
  end
  local sessions = log.readers
  if not sessions then
    sessions = redis.call('HGETALL', log.base .. 'cs:' .. log.name)
    for i = 2, #sessions, 2 do
      if not is_worker(sessions[i]) then
        -- Somebody has spoilt it; until the session's next sign of life its record says the same.
        local record = redis.call('HMGET', log.base .. 's:' .. sessions[i - 1], 'worker', 'connected')
        sessions[i] = record[2] == '1' and is_worker(record[1] or '') and record[1] or ''
      end
    end
    log.readers = sessions
  end
  local workers, count = nil, 0
  for i = 1, #sessions, 2 do
    if only == '' or only == sessions[i] then
      local worker = sessions[i + 1]
      workers = workers or {}
      if worker ~= '' then count = count + 1 end
      for _, known in ipairs(workers) do
        if known == worker then worker = '' end
      end
      if worker ~= '' then workers[#workers + 1] = worker end
    end
  end
  return workers, count
end

-- Nothing is deleted yet: the first write of the script must be one that Redis refuses where it has no memory.
local function begin_anew(log, number)
  log.anew, log.epoch, log.top, log.tag = true, fresh_epoch .. number, 0, nil
  log.total, log.before, log.count, log.touched, log.kept = 0, 0, 0, nil, false
  log.senders, log.dirty = {}, {}
end

-- Of a sender: its last number (empty where it has sent none), offset of its last entry, newest generation seen.
local function parse_sender(text)
  if not text then return { last = '', is_new = true } end
  local is_ours, last, offset, newest = pcall(struct.unpack, 'sss', text)
  if not is_ours then return { last = '' } end
  return { last = last, offset = tonumber(offset), newest = tonumber(newest) }
end

-- What is known of the log and of one sender: read once in a batch. Whoever else wrote into it is not believed.
local function load(log, sender, number)
  if log.epoch then
    if not log.senders[sender] then
      log.senders[sender] = parse_sender(not log.anew and redis.call('HGET', log.meta, sender))
    end
    return
  end
  local found, kept = redis.pcall('HMGET', log.meta, 'state', sender), nil
  log.epoch, log.top, log.tag, log.total, log.before, log.count, log.touched, kept = parse_state(found[1])
  if log.epoch then
    log.kept = kept == '1' and redis.call('HGET', log.meta, 'kept')
    log.senders, log.dirty = { [sender] = parse_sender(found[2]) }, {}
  else
    begin_anew(log, number)
    log.senders[sender] = parse_sender(nil)
  end
end

-- `is_there`: the stream exists, as far as is known.
local function add(log, is_there, place, body, only, skip, ends, unread)
  local total = string.format('%d', log.total + #body)
  local is_plain = is_there and only == '' and skip == '' and ends == '' and not unread
  if is_plain and (log.top + 1) % trim_every > 0 then
    return redis.pcall('XADD', log.key, 'NOMKSTREAM', place, 't', total, 'b', body)
  end
  local list = { 'XADD', log.key, 'MAXLEN', '=', most_entries, place, 't', total, 'b', body }
  if is_there then table.insert(list, 3, 'NOMKSTREAM') end
  local function field(name, value)
    if value ~= '' then
      list[#list + 1] = name
      list[#list + 1] = value
    end
  end
  field('o', only)
  field('k', skip)
  field('x', ends)
  field('f', unread and '1' or '')
  return redis.pcall(unpack(list))
end

-- The stream write comes first: it is the only one that can fail for want of memory, and a script is no transaction.
-- Returns the entry's place; throws where nothing was written.
local function write(log, number, tag, ...)
  local place = string.format('%d-%s', log.top + 1, tag)
  local added = add(log, log.touched ~= nil, place, ...)
  if not added then
    -- The entries are gone, the place is not.
    log.touched, log.before = nil, log.total
    added = add(log, false, place, ...)
  end
  if type(added) == 'table' then
    local err = added.err
    -- Somebody else wrote into the log: what is in it cannot be told apart, a new one begins.
    local is_spoilt = string.find(err, 'WRONGTYPE', 1, true) or string.find(err, 'equal or smaller', 1, true)
      or string.find(err, 'exhausted', 1, true)
    if not is_spoilt then error(err, 0) end
    redis.call('DEL', log.key)
    begin_anew(log, number)
    place = '1-' .. tag
    added = add(log, false, place, ...)
    if type(added) == 'table' then error(added.err, 0) end
  end
  written = true
  return place
end

-- Over the cap of bytes the oldest entries go, down to one. `t` of an entry counts all bytes up to its end.
local function trim(log, place)
  while log.total - log.before > most_bytes do
    local oldest = redis.call('XRANGE', log.key, '-', '+', 'COUNT', 1)[1]
    if not oldest or oldest[1] == place then return end
    local upto, body = tonumber(oldest[2][2]), oldest[2][4]
    local is_ours = oldest[2][1] == 't' and body and upto and upto <= log.total and upto - #body >= log.before
    if is_ours and upto - #body > log.before then
      -- Others before it went by number.
      log.before = upto - #body
    else
      redis.call('XDEL', log.key, oldest[1])
      if is_ours then log.before = upto end
    end
  end
end

-- What a run is of: its log, and who reads that.
local function begin_run(tag_of, kind, name, sender, generation, keep, only, skip)
  local key = prefix .. '{' .. tag_of .. '}:l:' .. kind .. ':' .. name
  local log = logs[key]
  if not log then
    log = { key = key, meta = key .. ':m', base = prefix .. '{' .. tag_of .. '}:', kind = kind, name = name, readers = nil, sessions = nil,
      epoch = nil, top = nil, tag = nil, total = nil, before = nil, count = nil, touched = nil, kept = nil, senders = nil,
      dirty = nil }
    logs[key] = log
  end
  local workers, readers = readers_of(log, only)
  return { log = log, sender = sender, generation = tonumber(generation), keep = keep, only = only, skip = skip,
    workers = workers or {}, readers = readers, is_unread = not workers }
end

local function append(number, run, seq, first, ttl_ms, tag, body)
  local log, sender, only, skip, unread = run.log, run.sender, run.only, run.skip, run.is_unread
  if unread and (run.keep == '' or seq == '0' or only ~= '') then return 'absent' end

  local id, previous = '-', ''
  if seq ~= '0' then
    load(log, sender, number)
    local known = log.senders[sender]
    local newest = known.newest
    if newest and run.generation < newest then return 'superseded' end
    if seq ~= '' then
      local following = (tonumber(known.last) or 0) + 1
      local expected = math.max(following, tonumber(first) or 0)
      if tonumber(seq) ~= expected then
        if newest and run.generation > newest then
          -- Nothing is stored, but the older connection is refused from now on.
          known.newest = run.generation
          log.dirty[sender], changed[log.key] = true, log
        end
        if tonumber(seq) < following then return 'duplicate' end
        return string.format('out_of_order %d', expected)
      end
    end
    local ends = ttl_ms ~= '' and string.format('%d', time + tonumber(ttl_ms)) or ''
    local before = unread and log.tag and string.format('%s:%d-%s', log.epoch, log.top, log.tag) or ''
    previous = log.tag or ''
    local place = write(log, number, tag, body, only, skip, ends, unread)
    if log.top == 0 then previous = '' end
    log.top, log.tag, log.total = log.top + 1, tag, log.total + #body
    id = log.epoch .. ':' .. place
    if unread then
      -- It is kept longer than what was there.
      if not log.kept then log.touched = nil end
      log.kept = (log.kept and string.match(log.kept, '^(%S*)') or log.top > 1 and before or '') .. ' ' .. id
      log.is_kept_new = true
    end
    if not log.senders[sender] then log.senders[sender], known.is_new = known, true end
    if known.is_new then log.count, known.is_new = log.count + 1, false end
    if seq ~= '' then known.last = seq end
    known.offset, known.newest = log.top, run.generation
    log.dirty[sender], log.moved, changed[log.key] = true, true, log
    if log.total - log.before > most_bytes then trim(log, place) end
  end

  local workers = run.workers
  if #workers > 0 then
    local header = 'entry ' .. log.kind .. ' ' .. log.name .. ' ' .. id .. ' ' .. previous .. ' ' .. only .. ' ' .. #body ..
      (skip ~= '' and ' ' .. skip or '') .. '\n'
    for i = 1, #workers do add_letter(workers[i], header, body) end
  end
  return 'accepted ' .. id .. ' ' .. run.readers
end

-- Senders whose entries were all trimmed are forgotten.
local function prune(log)
  local known, left = redis.call('HGETALL', log.meta), 0
  for i = 1, #known, 2 do
    if known[i] ~= 'state' and known[i] ~= 'kept' then
      if (parse_sender(known[i + 1]).offset or 0) <= log.top - most_entries then
        redis.call('HDEL', log.meta, known[i])
      else
        left = left + 1
      end
    end
  end
  log.count = left
end

local function save(log)
  if log.anew then redis.call('DEL', log.meta) end
  local fields = {}
  for sender in pairs(log.dirty) do
    local n = #fields
    local known = log.senders[sender]
    fields[n + 1] = sender
    fields[n + 2] = string.format('%s\0%d\0%d\0', known.last, known.offset or 0, known.newest)
  end
  if not log.moved then
    -- Only what is known of senders: without memory the answer matters more.
    redis.pcall('HSET', log.meta, unpack(fields))
    return
  end
  local lasts = log.kept and kept_ttl or log_ttl
  local is_due = not log.touched or log.touched > time or time - log.touched > lasts / 4
  if is_due then log.touched = time end
  if log.is_kept_new then redis.call('HSET', log.meta, 'kept', log.kept) end
  if log.count > 2 * most_entries then
    redis.call('HSET', log.meta, unpack(fields))
    prune(log)
    fields = {}
  end
  local state = string.format('%s\0%d\0%s\0%d\0%d\0%d\0%d\0%s\0', log.epoch, log.top, log.tag, log.total, log.before,
    log.count, log.touched, log.kept and '1' or '0')
  redis.call('HSET', log.meta, 'state', state, unpack(fields))
  if is_due then
    -- Until it is due again a quarter may pass. The place in the log outlives its entries: who asks for one of them is
    -- told that it is missing.
    redis.call('PEXPIRE', log.key, math.ceil(lasts * 1.25))
    redis.call('PEXPIRE', log.meta, math.ceil(lasts * 1.25) + ttl)
  end
end

local words, bodies, at, body_at = ARGV[9], ARGV[10], 1, 1
local answers = {}
while at <= #words do
  local tag_of, kind, name, sender, generation, keep, only, skip
  tag_of, kind, name, sender, generation, keep, only, skip, at = struct.unpack('ssssssss', words, at)
  local is_begun, begun = pcall(begin_run, tag_of, kind, name, sender, generation, keep, only, skip)
  repeat
    local seq, first, ttl_ms, tag, size, more
    seq, first, ttl_ms, tag, size, more, at = struct.unpack('ssssss', words, at)
    local next_at = body_at + size
    local number, is_done, answer = #answers + 1, false, begun
    if is_begun then
      is_done, answer = pcall(append, number, begun, seq, first, ttl_ms, tag, string.sub(bodies, body_at, next_at - 1))
    end
    body_at = next_at
    if not is_done then
      local err = type(answer) == 'table' and answer.err or tostring(answer)
      -- The reply that makes clients look for the master.
      if not written and string.find(err, 'READONLY', 1, true) then return redis.error_reply('READONLY this is a replica') end
      answer = 'failed ' .. string.gsub(err, '\n', ' ')
    end
    answers[number] = answer
  until more == ''
end
for _, log in pairs(changed) do save(log) end
for _, worker in ipairs(workers_told) do
  redis.call(publish_command, base .. 'to:' .. worker, table.concat(letters[worker]))
end
return table.concat(answers, '\n')
