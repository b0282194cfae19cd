-- Charge guesses to buckets of many subjects, as many as still fit, and say how many these are.
-- KEYS buckets · ARGV for each now, its capacity, emptied a second, how many at most, how many are
-- given back before
local answers = {}
for i, key in ipairs(KEYS) do
  local now, capacity = tonumber(ARGV[5 * i - 4]), tonumber(ARGV[5 * i - 3])
  local rate = tonumber(ARGV[5 * i - 2])
  local most, back = tonumber(ARGV[5 * i - 1]), tonumber(ARGV[5 * i])
  local kept = redis.call('HMGET', key, 's', 't')
  local last = tonumber(kept[2] or now)
  local level = math.max(0, tonumber(kept[1] or 0) - math.max(0, now - last) * rate - back)
  local granted = math.max(0, math.min(most, math.floor(capacity - level)))
  redis.call('HSET', key, 's', tostring(level + granted),
    't', string.format('%.6f', math.max(now, last)))
  -- Not load-bearing: by then it is empty.
  redis.call('EXPIRE', key, math.ceil(capacity / rate) + 60)
  answers[i] = granted
end
return answers
