-- What is due, lent for five seconds: whoever does not strike it off by then has died. ARGV: most
local due = base .. 'due'
local tasks = redis.call('ZRANGEBYSCORE', due, '-inf', now(), 'LIMIT', 0, tonumber(ARGV[3]))
for _, task in ipairs(tasks) do redis.call('ZADD', due, 'XX', now() + 5000, task) end
return tasks
