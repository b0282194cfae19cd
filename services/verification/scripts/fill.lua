-- Keep copies that were read from PostgreSQL. One that is older than what was announced is not
-- taken; of two bucket levels the fuller stays, unless Redis has not heard of the last unlocking.
-- KEYS subjects · ARGV emptied a second; then for each subject version, authenticators, level, its
-- time, consecutive, when the last of them was, version of the last unlocking, what a guess costs
local rate = tonumber(ARGV[1])

local function fuller(kept, level, at)
  local last = tonumber(kept[3])
  local later = math.max(at, last)
  local other = math.max(0, tonumber(kept[2]) - (later - last) * rate)
  return math.max(math.max(0, level - (later - at) * rate), other), later
end

local function fill(key, version, authenticators, level, at, consecutive, failed_at, unlocked, prices)
  local kept = redis.call('HMGET', key, 'v', 's', 't', 'f', 'w', 'u')
  if kept[1] and tonumber(kept[1]) > tonumber(version) then return 0 end
  if kept[2] and tonumber(kept[6] or 0) >= tonumber(unlocked) then
    level, at = fuller(kept, level, at)
  end
  if kept[1] == version and kept[4] then
    -- Counted since this copy was read.
    consecutive = math.max(tonumber(consecutive), tonumber(kept[4]))
  end
  redis.call('HSET', key, 'v', version, 'c', authenticators, 's', tostring(level),
    't', string.format('%.6f', at), 'f', consecutive, 'n', prices,
    'w', string.format('%.6f', math.max(failed_at, tonumber(kept[5] or 0))), 'u', unlocked)
  return 1
end

local answers = {}
for i, key in ipairs(KEYS) do
  local a = 8 * i - 6
  answers[i] = fill(key, ARGV[a], ARGV[a + 1], tonumber(ARGV[a + 2]), tonumber(ARGV[a + 3]),
    ARGV[a + 4], tonumber(ARGV[a + 5]), ARGV[a + 6], ARGV[a + 7])
end
return answers
