import type { Script } from '../../state/client.ts';
import { ADMIT } from './lua-admit.ts';
import { CHANGES, COUNTERS } from './lua-counters.ts';
import { LEASES } from './lua-leases.ts';
import { PARTS } from './lua-parts.ts';
import { SETTLE } from './lua-settle.ts';

/**
 * What is done in Redis, each in one atomic step. All keys of a script are of one tenant (but `index`'), and so of one slot: `q` its
 * counters, `r:<gateway>` what a gateway holds, `g` the gateways by the end of their leases, `usage:<day>` its ledger.
 *
 * `ARGV[1]` is the time to go by; empty = Redis' own. Numbers come as decimal text and go as whole numbers below 2^53.
 */
export const SCRIPTS = {
  admit: script([PARTS, COUNTERS, CHANGES, 'local leases, own = KEYS[3], ARGV[3]', LEASES, ADMIT]),

  settle: script([PARTS, COUNTERS, CHANGES, SETTLE]),

  /** Keeps the lease of a gateway. Keys: q, r, g. Arguments: time; gateway; when the oldest request was admitted that it has under way. */
  renew: script([
    PARTS,
    COUNTERS,
    CHANGES,
    'local leases, own = KEYS[3], ARGV[2]',
    LEASES,
    `
    local now = clock(ARGV[1])
    renew(now, tonumber(ARGV[3]))
    reclaim(now)
    `,
  ]),

  /** Keys: q, g. Arguments: time; then counters. Answers for each: used, reserved, milliseconds until all is back. */
  standings: script([
    PARTS,
    COUNTERS,
    CHANGES,
    // Of no gateway: all whose lease is over are dead to it.
    "local leases, own = KEYS[2], ''",
    LEASES,
    `
    local now = clock(ARGV[1])
    reclaim(now)
    local answer = {}
    for n = 2, #ARGV do
      local packed = redis.call('HGET', KEYS[1], ARGV[n])
      local list = packed and cmsgpack.unpack(packed) or { EVER }
      local time = timeOf(list, now)
      list = counting(list, time)
      local used, reserved = sums(list)
      local next = #answer
      answer[next + 1], answer[next + 2], answer[next + 3] = used, reserved, resetsIn(list, time)
    end
    return answer
    `,
  ]),

  /** Notes that a tenant has a ledger of a day. Key: the day's set of tenants. Arguments: tenant, how long to keep it. */
  index: script([
    `
    redis.call('SADD', KEYS[1], ARGV[1])
    redis.call('PEXPIRE', KEYS[1], ARGV[2])
    `,
  ]),
} as const;

function script(pieces: readonly string[]): Script {
  return { lua: pieces.join('\n') };
}
