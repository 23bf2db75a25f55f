-- Makes a record a tombstone. Answers 0 if there is nothing to remove, the successor if there is
-- one, else 1 or 2, and 2 is a live one, and whose it was.
-- KEYS: the record's. ARGV: now, how long a tombstone lasts, the tombstone; and to remove it only
-- if it is this user's: the user, 'all', 'but' or 'one', and the handle that this is about.
local now, it = tonumber(ARGV[1]), look(KEYS[1])
if it.kind == RENEWED then
    return it.successor
end
if it.kind ~= LIVE then
    return 0
end
if ARGV[4] then
    local meant = it.handle == ARGV[6]
    if it.user ~= ARGV[4] or ARGV[5] == 'but' and meant or ARGV[5] == 'one' and not meant then
        return 0
    end
end
-- A server that is out of memory takes no tombstone. A logout is one all the same.
local full = redis.pcall('SET', KEYS[1], ARGV[3], 'PX', tonumber(ARGV[2]))
if full.err then
    redis.call('DEL', KEYS[1])
end
return { is_live(it, now) and 2 or 1, it.user }
