-- Note what PostgreSQL has counted: what it counted while Redis was away must not be guessed again.
-- KEYS[1] subject · ARGV consecutive failures, level of the bucket
local kept = redis.call('HGET', KEYS[1], 's')
if not kept then return 0 end
local level = math.max(tonumber(kept), tonumber(ARGV[2]))
redis.call('HSET', KEYS[1], 'f', ARGV[1], 's', tostring(level))
return 1
