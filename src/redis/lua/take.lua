-- Takes a token out of a caller's bucket, if there is one.
--
-- KEYS[1]   the bucket: its content in millionths of a token, and the moment; a full bucket has no key
-- ARGV[1]   tokens added per second, and ARGV[2] the most tokens in the bucket; both whole numbers
--
-- Returns 1 when a token was taken and 0 when there was none, and the content of the bucket now, in millionths of a
-- token.
--
-- The rate in tokens per second is also the millionths of a token added per microsecond. So all numbers are whole, and
-- nothing is lost to rounding. The clock is the node's, so the clocks of gateways do not matter. A clock that was set
-- back adds no tokens and takes none away.

local TOKEN = 1000000
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
local rate, size = tonumber(ARGV[1]), ARGV[2] * TOKEN
local stored = redis.pcall('GET', KEYS[1])
local left, since = string.match(type(stored) == 'string' and stored or '', '^(%d+) (%d+)$')
left = left and math.min(size, tonumber(left) + math.max(0, now - tonumber(since)) * rate) or size
local taken = left >= TOKEN and 1 or 0
left = left - taken * TOKEN
redis.call('SET', KEYS[1], string.format('%.0f %.0f', left, now), 'PX', math.ceil((size - left) / rate / 1000) + 1)
return { taken, left }
