-- Makes a record a tombstone. Answers 0 if there is nothing to remove, the successor if there is
-- one, else 1 or 2, where 2 is a live one, and whose it was.
-- KEYS: the record's. ARGV: now, how long a tombstone lasts, the tombstone; and to remove it only
-- if it is this user's: the user, 'all', 'but' or 'one', and the handle that this is about.
local old = redis.call('GETRANGE', KEYS[1], 0, 77)
if old:byte(1) == RENEWED then
    return old:sub(10)
end
if old:byte(1) ~= LIVE then
    return 0
end
local user = old:byte(62) == 1 and old:sub(63, 78) or ''
if ARGV[4] then
    local is_meant = old:sub(50, 61) == ARGV[6]
    if user ~= ARGV[4] or ARGV[5] == 'but' and is_meant or ARGV[5] == 'one' and not is_meant then
        return 0
    end
end
-- A server that is out of memory takes no tombstone. A logout is one all the same.
local answer = redis.pcall('SET', KEYS[1], ARGV[3], 'PX', ARGV[2])
if answer.err then
    redis.call('DEL', KEYS[1])
end
return { is_live(old) and 2 or 1, user }
