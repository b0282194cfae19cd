-- Note what PostgreSQL has counted: what it counted while Redis was away must not be guessed again.
-- KEYS subjects · ARGV for each consecutive failures, level of the bucket
local answers = {}
for i, key in ipairs(KEYS) do
  local kept = redis.call('HGET', key, 's')
  answers[i] = kept and 1 or 0
  if kept then
    local level = math.max(tonumber(kept), tonumber(ARGV[2 * i]))
    redis.call('HSET', key, 'f', ARGV[2 * i - 1], 's', tostring(level))
  end
end
return answers
