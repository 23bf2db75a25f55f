-- Writes the first record under a key.
-- KEYS: the record's, and if it is within reach the list of its user.
-- ARGV: now, listed until (0: not listed), member of the list, the two parts of the record.
local now, till = tonumber(ARGV[1]), tonumber(ARGV[2])
local new, old = given(ARGV[4], ARGV[5]), look(KEYS[1])
if old.kind then
    return is_at(old, new.revision, now) and SAVED or GONE
end
local listed = list_until(new, nil, KEYS[2], ARGV[3], till, now)
if not listed then
    return UNLISTED
end
write(KEYS[1], new, listed, now)
return SAVED
