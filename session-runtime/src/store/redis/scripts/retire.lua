-- The second half of a renewal across servers: the new key is written, the old one becomes its
-- tombstone.
-- KEYS: the old one. ARGV: now, how long a tombstone lasts, the revision, the tombstone.
local old = redis.call('GETRANGE', KEYS[1], 0, 77)
if old:byte(1) == RENEWED and old:sub(10) == ARGV[4]:sub(10) then
    return 1
end
if not is_live(old) then
    return 0
end
if old:sub(18, 33) ~= ARGV[3] then
    return redis.call('GET', KEYS[1])
end
redis.call('SET', KEYS[1], ARGV[4], 'PX', ARGV[2])
return 1
