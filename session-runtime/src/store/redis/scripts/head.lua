-- Reads the first 78 bytes of a value, which layout.rs describes. A server compiles a script once, but runs every
-- statement outside a condition at each call. So there are few of them.
local LIVE, REMOVED, RENEWED, FORMAT = 1, 2, 3, 1

local function number(bytes, from)
    return (struct.unpack('<I8', bytes, from))
end

local function is_live(old)
    return old:byte(1) == LIVE and number(old, 19) > tonumber(ARGV[1])
end

-- True for a session of a newer format, which may be ended but never written over.
local function is_foreign(old)
    return old:byte(1) == LIVE and old:byte(2) ~= FORMAT
end

local function user_of(old)
    local user = old:sub(55, 70)
    return user ~= '\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0' and user or ''
end
