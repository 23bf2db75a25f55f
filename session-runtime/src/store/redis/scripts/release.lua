-- Ends a lease, if it still is one's own.
-- KEYS: the lock. ARGV: whose.
if redis.call('GET', KEYS[1]) == ARGV[1] then
    return redis.call('DEL', KEYS[1])
end
return 0
