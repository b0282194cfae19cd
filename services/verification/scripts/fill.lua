-- Keep a copy that was read from PostgreSQL. One that is older than what was announced is not
-- taken; of two bucket levels the fuller stays.
-- KEYS[1] subject · ARGV version, authenticators, level, its time, consecutive, emptied a second,
-- how many authenticators
local kept = redis.call('HMGET', KEYS[1], 'v', 's', 't', 'f')
if kept[1] and tonumber(kept[1]) > tonumber(ARGV[1]) then return 0 end
local level, at = tonumber(ARGV[3]), tonumber(ARGV[4])
if kept[2] then
  local other, later = tonumber(kept[2]), math.max(at, tonumber(kept[3]))
  local rate = tonumber(ARGV[6])
  level = math.max(0, level - (later - at) * rate)
  other = math.max(0, other - (later - tonumber(kept[3])) * rate)
  level, at = math.max(level, other), later
end
redis.call('HSET', KEYS[1], 'v', ARGV[1], 'c', ARGV[2], 's', tostring(level),
  't', string.format('%.6f', at), 'f', ARGV[5], 'n', ARGV[7])
return 1
