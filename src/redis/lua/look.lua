-- Tells what is stored of some SKUs of one part of the keys, and at which moment of which node that was so.
--
-- KEYS[1]   the era of the part
-- KEYS[2..] one key per SKU; there may be none: then only the moment is asked for
--
-- Returns seconds and microseconds of the node's clock, its run_id, the era, then of each SKU its text.
-- An empty text: there is none; '?': there is something that is no text.

local function text(key)
  local found = redis.pcall('GET', key)
  if type(found) == 'string' then return found end
  return found == false and '' or '?'
end

local time = redis.call('TIME')
local reply = { time[1], time[2], string.match(redis.call('INFO', 'server'), 'run_id:(%x+)') or '' }
for place, key in ipairs(KEYS) do reply[place + 3] = text(key) end
return reply
