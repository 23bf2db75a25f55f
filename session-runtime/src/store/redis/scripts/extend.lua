-- Makes a lock last longer, if the holder still has it. Also used for the mark of a round.
-- KEYS: the lock. ARGV: 1 the holder, 2 how long it lasts.
if redis.call('GET', KEYS[1]) == ARGV[1] then
    return redis.call('PEXPIRE', KEYS[1], ARGV[2])
end
return 0
