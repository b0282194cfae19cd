-- Give charged guesses back, also where the copy has been dropped since: the bucket outlives it.
-- KEYS subjects · ARGV for each 1 where the run of failures ended, weight
local answers = {}
for i, key in ipairs(KEYS) do
  local kept = redis.call('HGET', key, 's')
  answers[i] = kept and 1 or 0
  if kept then
    local level = tostring(math.max(0, tonumber(kept) - tonumber(ARGV[2 * i])))
    if ARGV[2 * i - 1] == '1' then
      redis.call('HSET', key, 's', level, 'f', '0')
    else
      redis.call('HSET', key, 's', level)
    end
  end
end
return answers
