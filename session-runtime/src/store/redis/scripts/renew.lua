-- Moves a session to a new key: both keys are within reach of one server.
-- KEYS: the old one, the new one, and if there is a user the list.
-- ARGV: now, how long a tombstone lasts, member of the list, the two parts of the record, the
-- revision to write over, the member of the list that the session was, the tombstone.
local now = tonumber(ARGV[1])
local new, old, taken = given(ARGV[4], ARGV[5]), look(KEYS[1]), look(KEYS[2])
if taken.kind then
    return is_at(taken, new.revision, now) and SAVED or GONE
end
if not is_live(old, now) then
    return GONE
end
if old.revision ~= ARGV[6] then
    return redis.call('GET', KEYS[1])
end
write(KEYS[2], new, list_until(new, nil, KEYS[3], ARGV[3], 0, now), now)
put(KEYS[1], ARGV[8], tonumber(ARGV[2]))
if KEYS[3] and old.user == new.user then
    redis.call('ZREM', KEYS[3], ARGV[7])
end
return SAVED
