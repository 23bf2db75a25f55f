-- What those scripts have in common that write a record. ARGV: 1 now, 2 how long the record lasts,
-- 3 and 4 its two parts, 5 the revision to write over, 6 its user, or nothing, 7 until when the list
-- of the user is to have it, 8 whether it was put there already, 9 the member of the list.
local SAVED, GONE, UNLISTED = 1, 0, 2

-- As bytes, until when the list has it: as long as it did, if that will do; else as long as it
-- should, if it is there or the list is within reach (`users`); else nil.
local function listed(old, users)
    if ARGV[6] == '' then
        return '\0\0\0\0\0\0\0\0'
    end
    if old and old:byte(62) == 1 and old:sub(63, 78) == ARGV[6]
        and number(old, 34) >= number(ARGV[3], 2) then
        return old:sub(34, 41)
    end
    if users then
        list(users, ARGV[9], tonumber(ARGV[7]), tonumber(ARGV[1]))
    elseif ARGV[8] == '' then
        return nil
    end
    return struct.pack('<I8', ARGV[7])
end

-- Whether the record is there, as it would be written: then the reply was lost.
local function is_written(key)
    local it = redis.call('GETRANGE', key, 0, 32)
    return it:sub(18) == ARGV[3]:sub(18) and is_live(it)
end
