-- Forget what may judge a guess: it is out of date, and is read again for the next one.
-- KEYS subjects
local answers = {}
for i, key in ipairs(KEYS) do
  answers[i] = redis.call('HDEL', key, 'c')
end
return answers
