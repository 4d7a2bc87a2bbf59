-- The connection is gone: the session waits. Returns its rooms. ARGV: client, session, generation, window, grace
if not is_current(ARGV[3], ARGV[4], ARGV[5]) then return {} end
if redis.call('HGET', session_key(ARGV[4]), 'connected') ~= '1' then return {} end
return disconnect(ARGV[3], ARGV[4], ARGV[5], tonumber(ARGV[6]), tonumber(ARGV[7]))
