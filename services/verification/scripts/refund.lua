-- Give a charged guess back, also where the copy has been dropped since: the bucket outlives it.
-- KEYS[1] subject · ARGV 1 where the run of failures ended, weight
local kept = redis.call('HGET', KEYS[1], 's')
if not kept then return 0 end
local level = math.max(0, tonumber(kept) - tonumber(ARGV[2]))
redis.call('HSET', KEYS[1], 's', tostring(level))
if ARGV[1] == '1' then redis.call('HSET', KEYS[1], 'f', '0') end
return 1
