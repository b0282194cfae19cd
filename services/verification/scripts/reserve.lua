-- Charge one guess of each subject, all or nothing, and hand out what may judge it.
-- KEYS subjects · ARGV capacity, emptied a second, most consecutive failures; then for each subject
-- now, what the guess is tried on (the field n says what that costs; what it does not name, one)
local capacity, rate, most = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])

local function reserve(key, now, on)
  local kept = redis.call('HMGET', key, 'c', 's', 't', 'f', 'n')
  if not kept[1] or not kept[5] then return {'cold'} end
  if tonumber(kept[4]) >= most then return {'locked'} end
  local last = tonumber(kept[3])
  local level = math.max(0, tonumber(kept[2]) - math.max(0, now - last) * rate)
  local weight = tonumber(string.match(kept[5], ' ' .. on .. ':(%d+) ') or 1)
  if level + weight > capacity then return {'budget', tostring(level), weight} end
  redis.call('HSET', key, 's', tostring(level + weight),
    't', string.format('%.6f', math.max(now, last)))
  return {'ok', kept[1], weight}
end

local answers = {}
for i, key in ipairs(KEYS) do
  answers[i] = reserve(key, tonumber(ARGV[2 * i + 2]), ARGV[2 * i + 3])
end
return answers
