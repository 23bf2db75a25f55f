-- Replaces a session by a tombstone. Returns the head of the session in an array; the successor if the session was
-- renewed; 0 if there is no session to end.
-- KEYS: the record. ARGV: 1 now, 2 how long a tombstone lasts, 3 the tombstone.
-- To end the session only if it belongs to certain users, also: 4 the users, 5 'all', 'but' or 'one', 6 the
-- handle that 'but' and 'one' mean.
local old = redis.call('GETRANGE', KEYS[1], 0, 77)
if old:byte(1) == RENEWED then
    return old:sub(10)
end
if old:byte(1) ~= LIVE then
    return 0
end
if ARGV[4] then
    local user, is_theirs = user_of(old), false
    for from = 1, #ARGV[4], 16 do
        is_theirs = is_theirs or ARGV[4]:sub(from, from + 15) == user
    end
    local is_meant = old:sub(43, 54) == ARGV[6]
    if not is_theirs or ARGV[5] == 'but' and is_meant or ARGV[5] == 'one' and not is_meant then
        return 0
    end
end
-- A server that is out of memory refuses the tombstone. A logout must work all the same, so the session is deleted.
local answer = redis.pcall('SET', KEYS[1], ARGV[3], 'PX', ARGV[2])
if answer.err then
    redis.call('DEL', KEYS[1])
end
return { old:sub(3, 70) }
