-- Keeps a room's keys. ARGV: room
for _, kind in ipairs({ 'r:', 'rp:', 'rz:', 'ri:' }) do touch(base .. kind .. ARGV[3]) end
touch_log('room', ARGV[3])
