-- Keeps a live session's keys. Returns its rooms. ARGV: client, session, worker
touch(session_key(ARGV[4]), rooms_key(ARGV[4]), client_key(ARGV[3]), base .. 'cw:' .. ARGV[3], base .. 'w:' .. ARGV[5],
  base .. 'online', base .. 'due')
return redis.call('SMEMBERS', rooms_key(ARGV[4]))
