-- Keep copies that were read from PostgreSQL. One that is older than what was announced is not
-- taken; of two bucket levels the fuller stays.
-- KEYS subjects · ARGV emptied a second; then for each subject version, authenticators, level, its
-- time, consecutive, what a guess costs
local rate = tonumber(ARGV[1])

local function fill(key, version, authenticators, level, at, consecutive, prices)
  local kept = redis.call('HMGET', key, 'v', 's', 't', 'f')
  if kept[1] and tonumber(kept[1]) > tonumber(version) then return 0 end
  if kept[2] then
    local last = tonumber(kept[3])
    local later = math.max(at, last)
    local other = math.max(0, tonumber(kept[2]) - (later - last) * rate)
    level = math.max(math.max(0, level - (later - at) * rate), other)
    at = later
  end
  if kept[1] == version and kept[4] then
    -- Counted since this copy was read.
    consecutive = math.max(tonumber(consecutive), tonumber(kept[4]))
  end
  redis.call('HSET', key, 'v', version, 'c', authenticators, 's', tostring(level),
    't', string.format('%.6f', at), 'f', consecutive, 'n', prices)
  return 1
end

local answers = {}
for i, key in ipairs(KEYS) do
  local a = 6 * i - 4
  answers[i] = fill(key, ARGV[a], ARGV[a + 1], tonumber(ARGV[a + 2]), tonumber(ARGV[a + 3]),
    ARGV[a + 4], ARGV[a + 5])
end
return answers
