-- What is under a key, as layout.rs has it, seen from its first 78 bytes. A script is compiled once,
-- and what stands outside of a condition is done at every call: so there is little of it.
local LIVE, REMOVED, RENEWED = 1, 2, 3

local function number(bytes, from)
    return (struct.unpack('<I8', bytes, from))
end

local function is_live(old)
    return old:byte(1) == LIVE and number(old, 2) > tonumber(ARGV[1])
end
