-- Begins a new era of one part of the keys: what was stored there until now is not believed any more.
--
-- KEYS[1]   the era of the part; whatever is there is overwritten
-- ARGV[1]   the new era, hexadecimal digits
-- ARGV[2]   milliseconds after which it is forgotten
--
-- Returns seconds and microseconds of the node's clock, its run_id, the new era, and the one before; empty: none.

local time = redis.call('TIME')
local run_id = string.match(redis.call('INFO', 'server'), 'run_id:(%x+)') or ''
local before = redis.pcall('GET', KEYS[1])
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
return { time[1], time[2], run_id, ARGV[1], type(before) == 'string' and before or '' }
