-- Puts a session on the list of its user; returns 1 if it was not there.
-- KEYS: the list. ARGV: 1 now, 2 the time until which it is listed, 3 the member.
return list(KEYS[1], ARGV[3], tonumber(ARGV[2]), tonumber(ARGV[1]))
