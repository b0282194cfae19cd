-- End runs of failures and leave some room in the buckets; older copies are not let in again.
-- KEYS subjects · ARGV for each the version from now on, the fullest that its bucket may be
local answers = {}
for i, key in ipairs(KEYS) do
  local kept = redis.call('HMGET', key, 'v', 's')
  answers[i] = 0
  if not kept[1] or tonumber(kept[1]) < tonumber(ARGV[2 * i - 1]) then
    redis.call('HSET', key, 'v', ARGV[2 * i - 1])
    redis.call('HDEL', key, 'c')
    if kept[2] then
      local level = math.min(tonumber(kept[2]), tonumber(ARGV[2 * i]))
      redis.call('HSET', key, 'f', '0', 's', tostring(level))
    end
    answers[i] = 1
  end
end
return answers
