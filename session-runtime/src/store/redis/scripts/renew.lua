-- Moves a session to a new key, on a server that has both keys.
-- KEYS: the old record, the new record; with a user also the list and the mark. ARGV: see write.lua; then 10 the
-- member of the list that the old key was, 11 the tombstone, 12 how long the tombstone lasts.
local old = redis.call('GETRANGE', KEYS[1], 0, 77)
if old:sub(3, 18) ~= ARGV[5] or not is_live(old) or is_foreign(old) then
    return redis.call('GET', KEYS[1])
end
if redis.call('EXISTS', KEYS[2]) == 1 then
    return TAKEN
end
local till = listed('', KEYS[3], KEYS[4])
if KEYS[3] and user_of(old) == ARGV[6] then
    redis.call('ZREM', KEYS[3], ARGV[10])
end
redis.call('SET', KEYS[2], ARGV[3] .. till .. ARGV[4], 'PX', ARGV[2])
redis.call('SET', KEYS[1], ARGV[11], 'PX', ARGV[12])
-- The list of another user is not among the keys: whoever sent this takes the old key off it.
local user = user_of(old)
if user ~= '' and user ~= ARGV[6] then
    return {user}
end
return SAVED
