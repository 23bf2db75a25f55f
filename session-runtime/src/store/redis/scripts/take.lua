-- Takes a lease that nobody has, or that was taken by this very request.
-- KEYS: the lock. ARGV: whose, how long it lasts.
if redis.call('SET', KEYS[1], ARGV[1], 'NX', 'PX', ARGV[2]) or redis.call('GET', KEYS[1]) == ARGV[1] then
    return 1
end
return 0
