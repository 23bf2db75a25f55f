-- Replaces the mark, if it has not changed.
-- KEYS: the mark. ARGV: 1 the old mark, 2 the new one.
if redis.call('GET', KEYS[1]) == ARGV[1] then
    redis.call('SET', KEYS[1], ARGV[2])
    return 1
end
return 0
