import { LEDGER_SUMS } from '../ledger.ts';

/**
 * Applies a batch of settlements. Keys: q, r, usage:<day>. Arguments: time; the batch's number; a time (by Redis' own clock) that must
 * be over; how many requests to release; how many to cancel; how many charges; until when to keep the day's ledger; then the
 * requests to release; those to cancel; for each charge: counter, and period, part, amount in one word; and for each row of the ledger:
 * the beginning of its fields, `["ci","smart","openai/gpt-6-sol"`, and its sums in one word.
 *
 * Answers 1 = applied, 2 = applied, and these are the first lines of the day's ledger, 0 = it was applied before, -1 = too early: an admission that is to be cancelled could still happen.
 */
export const SETTLE = `
local SUMS = { ${LEDGER_SUMS.map((sum) => `'${sum}'`).join(', ')} }

local now, real = clock(ARGV[1])
local last, leased = unpack(redis.call('HMGET', KEYS[2], '#seq', '#lease'))
if last and tonumber(last) >= tonumber(ARGV[2]) then return 0 end
if real <= tonumber(ARGV[3]) then return -1 end

local released, cancelled, charges = tonumber(ARGV[4]), tonumber(ARGV[5]), tonumber(ARGV[6])
local at, ids = 7, {}

-- Requests that are not known hold nothing: they were given back when the gateway was taken for dead, or never admitted.
if released + cancelled > 0 then
  for n = 1, released + cancelled do ids[n] = ARGV[at + n] end
  local records = redis.call('HMGET', KEYS[2], unpack(ids))
  for n, record in ipairs(records) do
    if record then giveBack(record, n > released) end
  end
  at = at + released + cancelled
end

for n = 1, charges do
  local period, part, amount = string.match(ARGV[at + 2], '(%d+) (%d+) (%d+)')
  charge(ARGV[at + 1], tonumber(period), tonumber(part), tonumber(amount), now)
  at = at + 2
end

-- Nothing has been written so far, and this comes first: should anything below ever fail, then a part of the batch is lost. The other
-- way round, what came before the failure would be applied again, and again.
redis.call('HSET', KEYS[2], '#seq', ARGV[2])
-- A gateway that holds nothing here: nobody else will see to it that its hash goes one day.
if not leased then redis.call('PEXPIRE', KEYS[2], DAY) end
inPieces('HDEL', KEYS[2], ids)
write(now)

local left, answer = tonumber(ARGV[7]) - now, 1
if at < #ARGV and left > 0 then
  if redis.call('EXISTS', KEYS[3]) == 0 then answer = 2 end
  -- The sums have 64 bits: more than Lua's numbers, which they never become.
  for i = at + 1, #ARGV, 2 do
    local n = 0
    for sum in string.gmatch(ARGV[i + 1], '%d+') do
      n = n + 1
      if sum ~= '0' then redis.call('HINCRBY', KEYS[3], ARGV[i] .. ',"' .. SUMS[n] .. '"]', sum) end
    end
  end
  redis.call('PEXPIRE', KEYS[3], left)
end
return answer
`;
