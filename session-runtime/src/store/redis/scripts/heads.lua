-- Returns the first bytes of some values; an empty text where there is none.
-- KEYS: the records. ARGV: 1 the place of the last byte.
local heads = {}
for place, key in ipairs(KEYS) do
    heads[place] = redis.call('GETRANGE', key, 0, ARGV[1])
end
return heads
