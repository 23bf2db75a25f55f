-- Moves the expiry of a record. Answers 1, or the user if the list must be moved first, else 0.
-- KEYS: the record's. ARGV: now, how long it lasts, until when it was listed anew (0: it was not), the
-- revision, and expires and seen as bytes.
local old = redis.call('GETRANGE', KEYS[1], 0, 77)
if old:sub(18, 33) ~= ARGV[4] or not is_live(old) then
    return 0
end
local till = tonumber(ARGV[3])
if old:byte(62) == 1 and number(ARGV[5], 1) > math.max(number(old, 34), till) then
    return old:sub(63, 78)
end
redis.call('SETRANGE', KEYS[1], 1, ARGV[5])
if till > 0 then
    redis.call('SETRANGE', KEYS[1], 33, struct.pack('<I8', till))
end
redis.call('PEXPIRE', KEYS[1], ARGV[2])
return 1
