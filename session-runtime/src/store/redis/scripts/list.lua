-- Puts a session on the list of its user until a time. What is over is taken off, and the list
-- lasts as long as the last one on it.
local function list(users, member, till, now)
    -- First what a server refuses that is out of memory: behind another write it would let it pass.
    redis.call('ZADD', users, till, member)
    redis.call('ZREMRANGEBYSCORE', users, '-inf', now)
    local ttl = till - now
    if redis.call('PTTL', users) < ttl then
        redis.call('PEXPIRE', users, ttl)
    end
end
