-- The pair that a client is claimed for. ARGV: client
return redis.call('GET', base .. 'pair:' .. ARGV[3])
