-- Puts a session on the list of its user until a time; answers 1 if it was not on it. What is over is taken
-- off, and the list lasts as long as the last one on it.
local function list(users, member, till, now)
    -- First what a server refuses that is out of memory: behind another write it would let it pass.
    local added = redis.call('ZADD', users, till, member)
    redis.call('ZREMRANGEBYSCORE', users, '-inf', now)
    local ttl = till - now
    if redis.call('PTTL', users) < ttl then
        redis.call('PEXPIRE', users, ttl)
    end
    return added
end
