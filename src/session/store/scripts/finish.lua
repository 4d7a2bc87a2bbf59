-- The session is over. Returns its rooms. ARGV: client, session, generation
if not is_current(ARGV[3], ARGV[4], ARGV[5]) then return {} end
return (remove(ARGV[3], ARGV[4]))
