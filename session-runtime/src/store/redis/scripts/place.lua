-- Puts a session on the list of its user; answers 1 if it was not on it.
-- KEYS: the list. ARGV: now, until when, the member.
return list(KEYS[1], ARGV[3], tonumber(ARGV[2]), tonumber(ARGV[1]))
