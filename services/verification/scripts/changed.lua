-- Drop what is older than a version, and let nothing older in again.
-- KEYS[1] subject · ARGV lowest version that may be kept from now on
local kept = redis.call('HGET', KEYS[1], 'v')
if not kept or tonumber(kept) < tonumber(ARGV[1]) then
  redis.call('HSET', KEYS[1], 'v', ARGV[1])
  redis.call('HDEL', KEYS[1], 'c')
end
return 1
