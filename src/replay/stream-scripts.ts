import type { Script } from '../state/client.ts';

/*
 * A stream is two keys, both in the slot of its tenant:
 *   head     hash: who writes it (owner: new for each stream), its dialect, the numbers of the first event that is kept and of the
 *            last there is, the size of what is kept, until when its writer is known to be alive (alive: milliseconds since 1970, by
 *            Redis' clock), and whether it is over, or gone: removed, and remembered for as long as its writer might not know
 *   batches  zset: events that follow each other, sealed, by the number of the last one in them
 * Both live on for a while after the last word of their writer, then go by themselves.
 */
const SHARED = `
local head, batches = KEYS[1], KEYS[2]

local function now()
  local time = redis.call('TIME')
  return time[1] * 1000 + math.floor(time[2] / 1000)
end

local function whole(number)
  return string.format('%.0f', number)
end

local function keep(life)
  redis.call('PEXPIRE', head, life)
  redis.call('PEXPIRE', batches, life)
end

local function drop_batches()
  redis.call('ZREMRANGEBYRANK', batches, 0, -1)
end
`;

export const SCRIPTS = {
  /** Owner, dialect, lease, life. Answers `claimed`, or `taken` where anything is called so. */
  claim: script(
    `
local owner, dialect, lease, life = unpack(ARGV)
if redis.call('EXISTS', head) == 1 then return 'taken' end
redis.call('HSET', head, 'owner', owner, 'dialect', dialect, 'first', 1, 'last', 0, 'size', 0, 'alive', whole(now() + lease))
keep(life)
return 'claimed'
`,
  ),

  /**
   * Owner, dialect, lease, life, the most that is kept (bytes); the first and the last event of the batch, whether the writer still has
   * any before them, whether the stream is over, the batch. An empty one only renews. Answers `kept`; `at` and the event that is the last one here, for the
   * batch does not follow it; `gone`, or `taken` by another.
   */
  append: script(
    `
local owner, dialect, lease, life, most = ARGV[1], ARGV[2], tonumber(ARGV[3]), ARGV[4], tonumber(ARGV[5])
local first, last, has_earlier, is_over, batch = tonumber(ARGV[6]), tonumber(ARGV[7]), ARGV[8] == '1', ARGV[9] == '1', ARGV[10]
local holder, there, size, gone = unpack(redis.call('HMGET', head, 'owner', 'last', 'size', 'gone'))
if holder and holder ~= owner then return { 'taken' } end
if gone then return { 'gone' } end
there, size = tonumber(there or 0), tonumber(size or 0)

-- Redis lost what it had, or was away for so long that the writer has lost it too; or it has the batch, and only its answer was lost.
if first ~= there + 1 and (has_earlier or first <= there) then return { 'at', there } end
if first ~= there + 1 or not holder then
  drop_batches()
  size = 0
  redis.call('HSET', head, 'first', whole(first))
end

if batch ~= '' then
  redis.call('ZADD', batches, whole(last), batch)
  size = size + #batch
  while size > most do
    local oldest = redis.call('ZPOPMIN', batches)
    size = size - #oldest[1]
    redis.call('HSET', head, 'first', whole(tonumber(oldest[2]) + 1))
  end
end
redis.call('HSET', head, 'owner', owner, 'dialect', dialect, 'last', whole(last), 'size', whole(size), 'alive', whole(now() + lease))
if is_over then redis.call('HSET', head, 'over', 1) end
keep(life)
return { 'kept' }
`,
  ),

  /**
   * After which event, and how much at once (bytes; one batch may be more). Answers `gone`, `none`, `dropped` and the first event that is still
   * there; or `page`: the dialect, the last event there is, whether it is over, whether its writer is not known to be alive, then batches, each with the
   * number of its last event.
   */
  read: script(
    `
local after, most = tonumber(ARGV[1]), tonumber(ARGV[2])
local owner, dialect, first, last, alive, over, gone =
  unpack(redis.call('HMGET', head, 'owner', 'dialect', 'first', 'last', 'alive', 'over', 'gone'))
if gone then return { 'gone' } end
if not owner then return { 'none' } end
if after + 1 < tonumber(first) then return { 'dropped', first } end
local page = { 'page', dialect, last, over and 1 or 0, (not over and now() > tonumber(alive)) and 1 or 0 }
if after >= tonumber(last) then return page end
local found = redis.call('ZRANGEBYSCORE', batches, '(' .. ARGV[1], '+inf', 'WITHSCORES', 'LIMIT', 0, 64)
-- The head is there and the batches are not: they were evicted.
if #found == 0 then return { 'dropped', whole(tonumber(last) + 1) } end
for i = 1, #found, 2 do
  page[#page + 1] = found[i]
  page[#page + 1] = found[i + 1]
  most = most - #found[i]
  if most <= 0 then break end
end
return page
`,
  ),

  /** Life. Answers `removed`, `gone` if it was before, or `none`. */
  remove: script(
    `
local owner, gone = unpack(redis.call('HMGET', head, 'owner', 'gone'))
if gone then return 'gone' end
if not owner then return 'none' end
redis.call('HSET', head, 'gone', 1)
drop_batches()
keep(ARGV[1])
return 'removed'
`,
  ),

  /** Owner. Takes back a claim. */
  release: script(
    `
if redis.call('HGET', head, 'owner') == ARGV[1] then keep(0) end
return 0
`,
  ),
} as const;

function script(lua: string): Script {
  return { lua: SHARED + lua };
}
