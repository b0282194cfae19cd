-- Drop what is older than a version, and let nothing older in again. Failures in a row may have
-- ended: they are read again with the copy, and what is counted meanwhile is kept by fill.lua.
-- KEYS subjects · ARGV for each the lowest version that may be kept from now on
local answers = {}
for i, key in ipairs(KEYS) do
  local kept = redis.call('HGET', key, 'v')
  answers[i] = 0
  if not kept or tonumber(kept) < tonumber(ARGV[i]) then
    redis.call('HSET', key, 'v', ARGV[i])
    redis.call('HDEL', key, 'c')
    if redis.call('HEXISTS', key, 'f') == 1 then redis.call('HSET', key, 'f', '0') end
    answers[i] = 1
  end
end
return answers
