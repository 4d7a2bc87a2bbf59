-- The workers' leases, in a slot of their own. ARGV: renew, expired or drop; worker; lease (ms)
local leases = base .. 'leases'
if ARGV[3] == 'renew' then
  -- 1 where there was no lease: it ran out, or Redis lost it.
  local fresh = redis.call('ZADD', leases, now() + tonumber(ARGV[5]), ARGV[4])
  touch(leases)
  return { tostring(fresh) }
elseif ARGV[3] == 'drop' then
  redis.call('ZREM', leases, ARGV[4])
end
return redis.call('ZRANGEBYSCORE', leases, '-inf', now())
