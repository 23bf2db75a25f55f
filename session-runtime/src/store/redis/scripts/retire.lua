-- The second half of a renewal across servers: the new key is written, the old one becomes its
-- tombstone.
-- KEYS: the old one. ARGV: now, how long a tombstone lasts, the revision, the tombstone.
local old = look(KEYS[1])
if old.kind == RENEWED and old.successor == ARGV[4]:sub(10, 25) then
    return 1
end
if not is_live(old, tonumber(ARGV[1])) then
    return 0
end
if old.revision ~= ARGV[3] then
    return redis.call('GET', KEYS[1])
end
put(KEYS[1], ARGV[4], tonumber(ARGV[2]))
return 1
