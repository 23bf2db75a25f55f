-- Gives a lock back, if the holder still has it.
-- KEYS: the lock. ARGV: 1 the holder.
if redis.call('GET', KEYS[1]) == ARGV[1] then
    return redis.call('DEL', KEYS[1])
end
return 0
