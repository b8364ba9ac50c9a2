-- Returns the stored values of some SKUs of one partition, and the moment of the read on the node's clock.
--
-- KEYS[1]   the era of the partition
-- KEYS[2..] one key per SKU; there may be none: then only the moment is read
--
-- Returns seconds and microseconds of the node's clock, its run_id, the era, then the value of each SKU.
-- An empty value: there is none; '?': the value is not a string.

local function text(key)
  local found = redis.pcall('GET', key)
  if type(found) == 'string' then return found end
  return found == false and '' or '?'
end

local time = redis.call('TIME')
local reply = { time[1], time[2], string.match(redis.call('INFO', 'server'), 'run_id:(%x+)') or '' }
for place, key in ipairs(KEYS) do reply[place + 3] = text(key) end
return reply
