-- Charge one guess of each subject, all or nothing, and hand out what may judge it.
-- KEYS subjects · ARGV capacity, emptied a second, most consecutive failures, failures before
-- waiting; then for each subject now, what the guess is tried on (the field n says what that costs;
-- what it does not name, one)
local capacity, rate, most = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
local before = tonumber(ARGV[4])

-- As domain/budget.py says it (wait_after).
local function wait_after(failures)
  if failures < before then return 0 end
  return math.min(3600, 30 * 2 ^ math.min(failures - before, 7))
end

local function reserve(key, now, on)
  local kept = redis.call('HMGET', key, 'c', 's', 't', 'f', 'n', 'w')
  if not kept[1] or not kept[5] then return {'cold'} end
  local failures, last = tonumber(kept[4]), tonumber(kept[3])
  if failures >= most then return {'locked'} end
  local wait = tonumber(kept[6] or 0) + wait_after(failures) - now
  if failures >= before and wait > 0 then return {'wait', tostring(wait)} end
  local level = math.max(0, tonumber(kept[2]) - math.max(0, now - last) * rate)
  local weight = tonumber(string.match(kept[5], ' ' .. on .. ':(%d+) ') or 1)
  if level + weight > capacity then return {'budget', tostring(level), weight} end
  redis.call('HSET', key, 's', tostring(level + weight),
    't', string.format('%.6f', math.max(now, last)))
  return {'ok', kept[1], weight}
end

local answers = {}
for i, key in ipairs(KEYS) do
  answers[i] = reserve(key, tonumber(ARGV[2 * i + 3]), ARGV[2 * i + 4])
end
return answers
