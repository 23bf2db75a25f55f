-- Makes a lease last longer, if it still is one's own.
-- KEYS: the lock. ARGV: whose, how long.
if redis.call('GET', KEYS[1]) == ARGV[1] then
    return redis.call('PEXPIRE', KEYS[1], ARGV[2])
end
return 0
