-- Charge one guess, all or nothing, and hand out what may judge it.
-- KEYS[1] subject · ARGV now, weight (0: one for each authenticator, because each of them is tried),
-- capacity, emptied a second, most consecutive failures
local kept = redis.call('HMGET', KEYS[1], 'c', 's', 't', 'f', 'n')
if not kept[1] or not kept[5] then return {'cold'} end
if tonumber(kept[4]) >= tonumber(ARGV[5]) then return {'locked'} end
local now = tonumber(ARGV[1])
local passed = math.max(0, now - tonumber(kept[3]))
local level = math.max(0, tonumber(kept[2]) - passed * tonumber(ARGV[4]))
local weight = tonumber(ARGV[2])
if weight == 0 then weight = tonumber(kept[5]) end
if level + weight > tonumber(ARGV[3]) then return {'budget', tostring(level)} end
local at = math.max(now, tonumber(kept[3]))
redis.call('HSET', KEYS[1], 's', tostring(level + weight), 't', string.format('%.6f', at))
return {'ok', kept[1]}
