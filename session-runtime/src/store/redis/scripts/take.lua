-- Takes a lock that nobody has, or that this holder has taken before (the command may be sent twice).
-- KEYS: the lock. ARGV: 1 the holder, 2 how long it lasts.
if redis.call('SET', KEYS[1], ARGV[1], 'NX', 'PX', ARGV[2]) or redis.call('GET', KEYS[1]) == ARGV[1] then
    return 1
end
return 0
