-- Writes the first record under a key.
-- KEYS: the record's, and if it is within reach the list of its user. ARGV: see write.lua.
if redis.call('EXISTS', KEYS[1]) == 1 then
    return is_written(KEYS[1]) and SAVED or GONE
end
local till = listed(nil, KEYS[2])
if not till then
    return UNLISTED
end
redis.call('SET', KEYS[1], ARGV[3] .. till .. ARGV[4], 'PX', ARGV[2])
return SAVED
