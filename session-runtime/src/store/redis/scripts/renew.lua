-- Moves a session to a new key: both keys are within reach of one server.
-- KEYS: the old one, the new one, and if there is a user the list. ARGV: see write.lua; 10 the
-- member of the list that the session was, 11 the tombstone, 12 how long it lasts.
if redis.call('EXISTS', KEYS[2]) == 1 then
    return is_written(KEYS[2]) and SAVED or GONE
end
local old = redis.call('GETRANGE', KEYS[1], 0, 77)
if not is_live(old) then
    return GONE
end
if old:sub(18, 33) ~= ARGV[5] then
    return redis.call('GET', KEYS[1])
end
redis.call('SET', KEYS[2], ARGV[3] .. listed(nil, KEYS[3]) .. ARGV[4], 'PX', ARGV[2])
redis.call('SET', KEYS[1], ARGV[11], 'PX', ARGV[12])
if KEYS[3] and old:byte(62) == 1 and old:sub(63, 78) == ARGV[6] then
    redis.call('ZREM', KEYS[3], ARGV[10])
end
return SAVED
