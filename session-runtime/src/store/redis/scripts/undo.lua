-- Takes back the first half of a renewal across servers whose second half came too late.
-- KEYS: the new one. ARGV: the revision that was written.
local it = look(KEYS[1])
if it.kind == LIVE and it.revision == ARGV[1] then
    redis.call('DEL', KEYS[1])
end
return 0
