-- Puts an entry under a key, or deletes what is there, if it is what is expected; else answers what is there.
-- KEYS: the record's, and if within reach the list of its user and the mark. ARGV: see write.lua. Expected
-- is nothing (''), what is over ('over'), or a live session at a revision; of the parts a tombstone has the first
-- alone, and what is to be deleted has none.
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
