-- What the scripts have in common: the first bytes of what is under a key, as layout.rs has them.
local LIVE, REMOVED, RENEWED = 1, 2, 3

local function number(bytes, at)
    return (struct.unpack('<I8', bytes, at + 1))
end

-- The fields that a script looks at; kind is nil if there is nothing under the key.
local function look(key)
    local bytes = redis.call('GETRANGE', key, 0, 77)
    local it = { kind = bytes:byte(1) }
    if it.kind == LIVE then
        it.expires = number(bytes, 1)
        it.revision = bytes:sub(18, 33)
        it.listed = number(bytes, 33)
        it.handle = bytes:sub(50, 61)
        it.user = bytes:byte(62) == 1 and bytes:sub(63, 78) or ''
    elseif it.kind == RENEWED then
        it.successor = bytes:sub(10, 25)
    end
    return it
end

local function is_live(it, now)
    return it.kind == LIVE and it.expires > now
end

local function is_at(it, revision, now)
    return is_live(it, now) and it.revision == revision
end

-- A time to live is counted from the caller's clock, so that the server's need not agree with it.
local function put(key, bytes, ttl)
    redis.call('SET', key, bytes, 'PX', math.max(ttl, 1))
end
