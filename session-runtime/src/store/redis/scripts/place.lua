-- Puts a session on the list of its user.
-- KEYS: the list. ARGV: now, until when, the member.
list(KEYS[1], ARGV[3], tonumber(ARGV[2]), tonumber(ARGV[1]))
return 1
