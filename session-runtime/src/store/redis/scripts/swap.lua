-- Puts an entry under a key, or deletes the entry there, if the key holds what is expected; else returns what it holds.
-- KEYS: the record; if this server has them, also the list of its user and the mark.
-- ARGV: see write.lua; then 10 the time after which a tombstone is over. ARGV 5, what is expected, is '' for nothing,
-- 'over' for an entry that is over, or the revision of a live session. A tombstone has only the first part
-- (ARGV 3). To delete an entry both parts are ''.
local old = redis.call('GETRANGE', KEYS[1], 0, 77)
local is_met
if ARGV[5] == '' then
    is_met = old == ''
elseif ARGV[5] ~= 'over' then
    is_met = old:sub(3, 18) == ARGV[5] and is_live(old)
elseif old:byte(1) == LIVE then
    is_met = not is_live(old)
else
    is_met = old ~= '' and math.abs(number(old, 2) - tonumber(ARGV[1])) >= tonumber(ARGV[10])
end
if not is_met or ARGV[4] ~= '' and is_foreign(old) then
    return redis.call('GET', KEYS[1])
end
if ARGV[3] == '' then
    redis.call('DEL', KEYS[1])
    return SAVED
end
if ARGV[4] == '' then
    redis.call('SET', KEYS[1], ARGV[3], 'PX', ARGV[2])
    return SAVED
end
local till, is_due = listed(old, KEYS[2], KEYS[3])
if not till then
    return UNLISTED
end
redis.call('SET', KEYS[1], ARGV[3] .. till .. ARGV[4], 'PX', ARGV[2])
return is_due and SAVED_UNLISTED or SAVED
