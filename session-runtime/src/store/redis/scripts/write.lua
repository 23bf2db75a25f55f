-- The common part of the scripts that write a record.
-- ARGV: 1 now, 2 how long the entry lasts, 3 and 4 its two parts, 5 what is expected, 6 its user or '', 7 the time
-- until which the list of the user must have it, 8 'listed' if it was put there already, else '', 9 the member of the
-- list.
local SAVED, UNLISTED, SAVED_UNLISTED, TAKEN = 1, 2, 3, 4

-- A session is put on its list again at least this often, in ms, because somebody may have deleted the list.
local HEALED_EVERY = 60000

-- Puts the session on the list of its user if this server has the list (`users`) and the mark. Returns two values: the
-- time until which the session is listed, as bytes, and true if the caller must put it on the list afterwards.
-- Returns nil if the caller must put it on the list first.
local function listed(old, users, mark)
    if ARGV[6] == '' then
        return '\0\0\0\0\0\0\0\0', false
    end
    local was = user_of(old) == ARGV[6] and number(old, 71) or 0
    local is_enough = was >= number(ARGV[3], 19)
    if is_enough and tonumber(ARGV[7]) - was < HEALED_EVERY then
        return old:sub(71, 78), false
    end
    if users then
        local added = list(users, ARGV[9], tonumber(ARGV[7]), tonumber(ARGV[1]))
        if added == 1 and was > 0 then
            redis.call('DEL', mark)
        end
    elseif ARGV[8] == '' and not is_enough then
        return nil
    end
    return struct.pack('<I8', ARGV[7]), not users and ARGV[8] == ''
end
