-- A record that is about to be written, and its place on the list of its user.
local SAVED, GONE, UNLISTED = 1, 0, 2

local function given(before, behind)
    return {
        before = before,
        behind = behind,
        expires = number(before, 1),
        revision = before:sub(18, 33),
        user = behind:byte(21) == 1 and behind:sub(22, 37) or '',
    }
end

-- Until when the record is listed: as long as it was before, if that will do; else listed by
-- whoever asked (`till`), or here if its list is within reach (`users`); nil if it is neither.
local function list_until(new, old, users, member, till, now)
    if new.user == '' then
        return 0
    end
    if old and old.user == new.user and old.listed >= new.expires then
        return old.listed
    end
    if till > 0 then
        return till
    end
    if users then
        till = far(new.expires, now)
        list(users, member, till, now)
        return till
    end
    return nil
end

local function write(key, new, listed, now)
    put(key, new.before .. struct.pack('<I8', listed) .. new.behind, new.expires - now)
end
