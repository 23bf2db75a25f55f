-- Moves the expiry of a record, and puts it on the list of its user, if that is within reach.
-- KEYS: the record's, and if within reach the list and the mark. ARGV: now, how long it lasts, until when it is listed,
-- the revision, expires and seen as bytes, and the member of the list.
local old = redis.call('GETRANGE', KEYS[1], 0, 77)
if old:sub(3, 18) ~= ARGV[4] or not is_live(old) or is_foreign(old) then
    return 0
end
if user_of(old) ~= '' then
    if KEYS[2] and list(KEYS[2], ARGV[6], tonumber(ARGV[3]), tonumber(ARGV[1])) == 1 then
        redis.call('DEL', KEYS[3])
    end
    redis.call('SETRANGE', KEYS[1], 70, struct.pack('<I8', ARGV[3]))
end
redis.call('SETRANGE', KEYS[1], 18, ARGV[5])
redis.call('PEXPIRE', KEYS[1], ARGV[2])
return 1
