import { DIMENSIONS } from '../quota/dimensions.ts';
import { remaining } from '../quota/headers.ts';
import type { Limit } from '../quota/limits.ts';
import { partAt } from '../quota/periods.ts';
import type { QuotaStore, Standing } from '../quota/store.ts';
import { authenticate } from './authenticate.ts';
import { answerErrors, firstHeaders } from './errors.ts';
import type { Exchange } from './exchange.ts';
import type { Live } from './live.ts';
import { QUOTAS_AWAY } from './spending.ts';

/** `GET /v1/usage`: the caller's own quotas, those of its tenant first, with all that was settled here so far. */
export async function usage(
  exchange: Exchange,
  live: Live,
  { store, wall }: { store: QuotaStore; wall(): number },
): Promise<void> {
  await answerErrors(
    exchange,
    async () => {
      const { tenant, key, limits } = authenticate(exchange, live);
      await store.flush(tenant.id);
      const standings = await store.standings(tenant.id, limits.all);
      const quotas = limits.all.map((limit, index) => describe(limit, standings[index] as Standing, wall()));
      const body = JSON.stringify({ tenant: tenant.id, key, quotas });
      exchange.send(200, firstHeaders(exchange), body);
    },
    QUOTAS_AWAY,
  );
}

/** One quota, in the units that the configuration is written in. */
function describe(limit: Limit, standing: Standing, now: number) {
  const { of, per, scope, models, max } = limit;
  const { scale } = DIMENSIONS[of];
  const { used, reserved, resetsIn } = standing;
  return {
    of,
    per,
    limit: max / scale,
    scope,
    models: models === null ? null : [...models],
    used: used / scale,
    reserved: reserved / scale,
    remaining: remaining({ limit, standing }) / scale,
    resets_at: resetsIn === null ? null : new Date(resetAt(per, now, resetsIn)).toISOString(),
  };
}

/** Parts of sliding stretches end on a multiple of this. Milliseconds. */
const SHORTEST_PART = 50;

/** By the calendar, or by where a part ends: the store's clock may be a little off ours, and the end of a day is not to be. */
function resetAt(per: Limit['per'], now: number, resetsIn: number): number {
  const at = now + resetsIn;
  if (per !== 'day' && per !== 'month') {
    return resetsIn === 0 ? now : Math.round(at / SHORTEST_PART) * SHORTEST_PART;
  }
  // The calendar's end is what it is, though nothing may have been taken yet.
  if (resetsIn === 0) return partAt(per, now).freeAt;
  const { start, freeAt } = partAt(per, at);
  return at - start < freeAt - at ? start : freeAt;
}
