-- Puts a session on the list of its user until a time; returns 1 if it was not there. Takes off the sessions whose
-- time is over. The list lasts as long as its last session.
local function list(users, member, till, now)
    -- This comes first: a server that is out of memory refuses it here, but would let it pass after another write.
    local added = redis.call('ZADD', users, till, member)
    redis.call('ZREMRANGEBYSCORE', users, '-inf', now)
    local ttl = till - now
    if redis.call('PTTL', users) < ttl then
        redis.call('PEXPIRE', users, ttl)
    end
    return added
end
