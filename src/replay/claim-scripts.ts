import type { Script } from '../state/client.ts';

/*
 * A claim is a hash of its own, in the slot of its tenant:
 *   owner   the claim that runs it, or ran it: a new one for each time
 *   mark    of what was asked
 *   until   when that is over: the lease of one that runs, or the life of an answer. Milliseconds since 1970
 *   answer  sealed; there once it has ended
 * What is over is as good as not there, and goes by itself. `ARGV[1]` is the time to go by; empty = Redis' own.
 */
const SHARED = `
local key = KEYS[1]

local function clock(handed)
  local time = redis.call('TIME')
  return tonumber(handed) or time[1] * 1000 + math.floor(time[2] / 1000)
end

local now = clock(ARGV[1])
local owner, mark, ends, answer = unpack(redis.call('HMGET', key, 'owner', 'mark', 'until', 'answer'))
-- Is there anything that counts?
local counts = owner and ends and tonumber(ends) > now

local function put(for_ms, ...)
  redis.call('HSET', key, 'until', string.format('%.0f', now + for_ms), ...)
  redis.call('PEXPIRE', key, for_ms)
end

-- May this owner write? It may if it is still the one that runs it, and if nothing is there any more: its lease was over or the data
-- is lost, but nobody has begun since.
local function may(this)
  return not counts or (owner == this and not answer)
end
`;

export const SCRIPTS = {
  /**
   * Arguments: time; owner; mark; lease; an owner whose answer cannot be read, and is as good as not there. Answers `claimed`, `other`, `running`
   * with the rest of the lease, or `done` with the answer and whose it is.
   */
  claim: script(
    `
    if counts and owner ~= ARGV[5] then
      if mark ~= ARGV[3] then return { 'other' } end
      if answer then return { 'done', answer, owner } end
      return { 'running', tonumber(ends) - now }
    end
    redis.call('HDEL', key, 'answer')
    put(tonumber(ARGV[4]), 'owner', ARGV[2], 'mark', ARGV[3])
    return { 'claimed' }
    `,
  ),

  /** Keeps a claim. Arguments: time; owner; mark; lease. Answers 1, or 0 if another one has it. */
  renew: script(
    `
    if not may(ARGV[2]) then return 0 end
    redis.call('HDEL', key, 'answer')
    put(tonumber(ARGV[4]), 'owner', ARGV[2], 'mark', ARGV[3])
    return 1
    `,
  ),

  /** Arguments: time; owner; mark; how long the answer lives; the answer. Answers likewise. Sent twice, it is done once. */
  finish: script(
    `
    if counts and owner == ARGV[2] and answer then return 1 end
    if not may(ARGV[2]) then return 0 end
    put(tonumber(ARGV[4]), 'owner', ARGV[2], 'mark', ARGV[3], 'answer', ARGV[5])
    return 1
    `,
  ),

  /** Arguments: time; owner. */
  free: script(
    `
    if owner == ARGV[2] and not answer then redis.call('HDEL', key, 'owner', 'mark', 'until') end
    `,
  ),
} as const;

function script(lua: string): Script {
  return { lua: SHARED + lua };
}
