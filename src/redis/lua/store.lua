-- Stores readings of some SKUs of one partition. A reading is not stored over a later one.
--
-- KEYS[1]   the era of the partition.
-- KEYS[2..] one key per SKU.
-- ARGV[1]   the run_id of the node on whose clock the moments below are.
-- ARGV[2]   the era that the values name.
-- ARGV[3]   a moment in microseconds; an earlier time on that clock means that it was set back.
-- ARGV[4..] five for each SKU: value, version, moment in microseconds, expiry in milliseconds since 1970, and
--           the SHA-1 of a stored value that was found invalid; empty when there was none.
--
-- Returns seconds and microseconds of the node's clock, its run_id, the era, and the number of stored readings.
-- On another node, in another era, or when the clock was set back, nothing is stored.
--
-- All values are read before the first write. Each SKU is one write, so an error leaves no value half written.

local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
local run_id = string.match(redis.call('INFO', 'server'), 'run_id:(%x+)') or ''
local era = redis.pcall('GET', KEYS[1])
if type(era) ~= 'string' then era = '' end

-- Whether the stored reading is as late as the new one, or later. A value that cannot be compared is not.
local function isLater(stored, version, moment, invalid)
  if type(stored) ~= 'string' or redis.sha1hex(stored) == invalid then return false end
  local theirVersion, theirMoment, theirRun, theirEra = string.match(stored, '^1|(%d+)|(%d+)|(%x+)|(%x+)|[%w|:,%-]*$')
  if theirRun ~= run_id or theirEra ~= era or tonumber(theirMoment) > now then return false end
  theirVersion, theirMoment = tonumber(theirVersion), tonumber(theirMoment)
  return theirVersion > version or (theirVersion == version and theirMoment >= moment)
end

local due = {}
if run_id == ARGV[1] and era == ARGV[2] and now >= tonumber(ARGV[3]) then
  for place = 2, #KEYS do
    local first = 4 + (place - 2) * 5
    local moment, expiresMs = tonumber(ARGV[first + 2]), tonumber(ARGV[first + 3])
    local stored = redis.pcall('GET', KEYS[place])
    local isNewer = not isLater(stored, tonumber(ARGV[first + 1]), moment, ARGV[first + 4])
    if moment <= now and expiresMs * 1000 > now and isNewer then
      due[#due + 1] = { KEYS[place], ARGV[first], ARGV[first + 3] }
    end
  end
end
for _, each in ipairs(due) do redis.call('SET', each[1], each[2], 'PXAT', each[3]) end
return { time[1], time[2], run_id, era, #due }
