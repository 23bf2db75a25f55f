-- Moves the expiry of a record. Answers 1, or the user if the list must be moved first.
-- KEYS: the record's. ARGV: now, listed until (0: as it is), the revision, expires, and expires and
-- seen as bytes.
local now, till, expires = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[4])
local it = look(KEYS[1])
if not is_at(it, ARGV[3], now) then
    return 0
end
if it.user ~= '' and expires > math.max(it.listed, till) then
    return it.user
end
redis.call('SETRANGE', KEYS[1], 1, ARGV[5])
if till > 0 then
    redis.call('SETRANGE', KEYS[1], 33, struct.pack('<I8', till))
end
redis.call('PEXPIRE', KEYS[1], math.max(expires - now, 1))
return 1
