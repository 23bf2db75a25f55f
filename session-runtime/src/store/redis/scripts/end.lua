-- Makes a session a tombstone. Answers 0 if there is none to end, the successor if there is one, else the
-- head of the session.
-- KEYS: the record's. ARGV: now, how long a tombstone lasts, the tombstone; and to end it only if it is of these
-- users: the users, 'all', 'but' or 'one', and the handle that this is about.
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
-- A server that is out of memory takes no tombstone. A logout is one all the same.
local answer = redis.pcall('SET', KEYS[1], ARGV[3], 'PX', ARGV[2])
if answer.err then
    redis.call('DEL', KEYS[1])
end
return { old:sub(3, 70) }
