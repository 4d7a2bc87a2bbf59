-- The workers' leases, in a slot of their own. ARGV: renew, expired or drop; worker; lease (ms)
-- Returns whether the lease was alive (renew), or the workers whose lease ran out (expired).
local leases, hold = base .. 'leases', base .. 'hold'
local what, worker, lease = ARGV[3], ARGV[4], tonumber(ARGV[5])
if what == 'drop' then
  redis.call('ZREM', leases, worker)
  return 0
end
local own = tonumber(redis.call('ZSCORE', leases, worker) or nil)
-- Nobody declared this worker dead although its lease ran out: nobody could, Redis was away. The others get the time
-- to say that they live before anyone is taken for dead.
if own and own <= now() then redis.call('SET', hold, '1', 'PX', lease) end
if what == 'renew' then
  redis.call('ZADD', leases, now() + lease, worker)
  touch(leases)
  return own and own > now() and 1 or 0
end
if redis.call('EXISTS', hold) == 1 then return {} end
return redis.call('ZRANGEBYSCORE', leases, '-inf', now())
