-- End runs of failures and leave some room in the buckets, once for each unlocking.
-- KEYS subjects · ARGV for each the version of the unlocking, the fullest that its bucket may be
local answers = {}
for i, key in ipairs(KEYS) do
  local kept = redis.call('HMGET', key, 'u', 's', 'v')
  local version = tonumber(ARGV[2 * i - 1])
  answers[i] = 0
  if tonumber(kept[1] or 0) < version then
    redis.call('HSET', key, 'u', ARGV[2 * i - 1])
    redis.call('HDEL', key, 'c')
    if tonumber(kept[3] or 0) < version then redis.call('HSET', key, 'v', ARGV[2 * i - 1]) end
    if kept[2] then
      local level = math.min(tonumber(kept[2]), tonumber(ARGV[2 * i]))
      redis.call('HSET', key, 'f', '0', 's', tostring(level))
    end
    answers[i] = 1
  end
end
return answers
