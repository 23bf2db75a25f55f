-- Writes a record over a revision.
-- KEYS: the record's, and if it is within reach the list of its user. ARGV: see write.lua.
local old = redis.call('GETRANGE', KEYS[1], 0, 77)
if not is_live(old) then
    return GONE
end
if old:sub(18, 33) ~= ARGV[5] then
    return old:sub(18, 33) == ARGV[3]:sub(18) and SAVED or redis.call('GET', KEYS[1])
end
local till = listed(old, KEYS[2])
if not till then
    return UNLISTED
end
redis.call('SET', KEYS[1], ARGV[3] .. till .. ARGV[4], 'PX', ARGV[2])
return SAVED
