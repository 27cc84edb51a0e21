import type { Script } from '../state/client.ts';

/**
 * Keeps an answer, and holds those of one scope to a bound: a store that may not throw anything away (`noeviction`) would refuse counters
 * when it is full of answers. Keys, all of one slot:
 *   the answer   string, which expires by itself
 *   order        zset: name → when the answer expires, by Redis' clock in milliseconds
 *   sizes        hash: name → bytes; and `!`, which can be no name: their sum
 * Arguments: name, the answer, its life in milliseconds, its bytes, how many bytes there may be in all.
 *
 * Answers that have expired are still in the order and the sum until somebody keeps another one; those go first. Then go those that would
 * expire next. The key of an answer is its name after what is the same for all of its scope.
 */
export const KEEP: Script = {
  lua: `
local answer, order, sizes = unpack(KEYS)
local name, text, life, size, most = ARGV[1], ARGV[2], tonumber(ARGV[3]), tonumber(ARGV[4]), tonumber(ARGV[5])
local base = string.sub(answer, 1, #answer - #name)
local clock = redis.call('TIME')
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)
local sum = tonumber(redis.call('HGET', sizes, '!') or '0')

local function forget(one)
  sum = sum - tonumber(redis.call('HGET', sizes, one) or '0')
  redis.call('HDEL', sizes, one)
  redis.call('ZREM', order, one)
end

forget(name)
for _, one in ipairs(redis.call('ZRANGEBYSCORE', order, '-inf', now, 'LIMIT', 0, 1000)) do forget(one) end
while sum + size > most do
  local next = redis.call('ZRANGEBYSCORE', order, '-inf', '+inf', 'LIMIT', 0, 1)[1]
  if not next then break end
  redis.call('DEL', base .. next)
  forget(next)
end
-- The order was lost, and with it what the sum was of.
if redis.call('EXISTS', order) == 0 then
  redis.call('DEL', sizes)
  sum = 0
end

redis.call('SET', answer, text, 'PX', life)
redis.call('ZADD', order, string.format('%.0f', now + life), name)
redis.call('HSET', sizes, name, size, '!', string.format('%.0f', sum + size))
for _, key in ipairs({ order, sizes }) do
  if redis.call('PTTL', key) < life then redis.call('PEXPIRE', key, life) end
end
return 1
`,
};
