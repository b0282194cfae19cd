-- Note what PostgreSQL has counted: what it counted while Redis was away must not be guessed again.
-- What is older than the last change (an unlocking) is not taken.
-- KEYS subjects · ARGV for each its version then, consecutive failures, level of the bucket, time
local answers = {}
for i, key in ipairs(KEYS) do
  local kept = redis.call('HMGET', key, 's', 'v', 'w')
  answers[i] = 0
  if kept[1] and tonumber(kept[2] or 0) <= tonumber(ARGV[4 * i - 3]) then
    local level = math.max(tonumber(kept[1]), tonumber(ARGV[4 * i - 1]))
    local at = math.max(tonumber(kept[3] or 0), tonumber(ARGV[4 * i]))
    redis.call('HSET', key, 'f', ARGV[4 * i - 2], 's', tostring(level),
      'w', string.format('%.6f', at))
    answers[i] = 1
  end
end
return answers
