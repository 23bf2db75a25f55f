-- Writes a record over a revision.
-- KEYS: the record's, and if it is within reach the list of its user.
-- ARGV: now, listed until (0: not listed), member of the list, the two parts of the record, the
-- revision to write over.
local now, till = tonumber(ARGV[1]), tonumber(ARGV[2])
local new, old = given(ARGV[4], ARGV[5]), look(KEYS[1])
if not is_live(old, now) then
    return GONE
end
if old.revision == new.revision then
    return SAVED
end
if old.revision ~= ARGV[6] then
    return redis.call('GET', KEYS[1])
end
local listed = list_until(new, old, KEYS[2], ARGV[3], till, now)
if not listed then
    return UNLISTED
end
write(KEYS[1], new, listed, now)
return SAVED
