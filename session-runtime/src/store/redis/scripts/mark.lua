-- Replaces a mark by another one, if it is still there.
-- KEYS: the mark. ARGV: the one before, the new one.
if redis.call('GET', KEYS[1]) == ARGV[1] then
    redis.call('SET', KEYS[1], ARGV[2])
    return 1
end
return 0
