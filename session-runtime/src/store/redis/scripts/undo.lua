-- Takes back the first half of a renewal across servers whose second half came too late.
-- KEYS: the new one. ARGV: the revision that was written.
local it = redis.call('GETRANGE', KEYS[1], 0, 32)
if it:byte(1) == 1 and it:sub(18) == ARGV[1] then
    redis.call('DEL', KEYS[1])
end
return 0
