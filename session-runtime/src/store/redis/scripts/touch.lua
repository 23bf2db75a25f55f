-- Moves the expiry of a record, and puts it on the list of its user if this server has the list.
-- KEYS: the record; if this server has them, also the list and the mark.
-- ARGV: 1 now, 2 how long the record lasts, 3 the time until which it is listed, 4 the revision, 5 expires and seen as
-- bytes, 6 the member of the list.
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
