-- What is under a key, as layout.rs has it, seen from its first 78 bytes. A script is compiled once,
-- and what stands outside of a condition is done at every call: so there is little of it.
local LIVE, REMOVED, RENEWED, FORMAT = 1, 2, 3, 1

local function number(bytes, from)
    return (struct.unpack('<I8', bytes, from))
end

local function is_live(old)
    return old:byte(1) == LIVE and number(old, 19) > tonumber(ARGV[1])
end

-- The session of a newer version may be ended, and is never written over.
local function is_foreign(old)
    return old:byte(1) == LIVE and old:byte(2) ~= FORMAT
end

local function user_of(old)
    local user = old:sub(55, 70)
    return user ~= '\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0' and user or ''
end
