import assert from 'node:assert/strict';
import { it, type TestContext } from 'node:test';
import fc from 'fast-check';
import { LEDGER_SUMS, type LedgerEntry, type LedgerRow, type LedgerSums } from '../../src/quota/ledger.ts';
import type { Limit } from '../../src/quota/limits.ts';
import type { Demand, QuotaStore, Ticket } from '../../src/quota/store.ts';
import { ExactModel } from './model.ts';
import { DAY, HOUR, limit, MINUTE, newId, type OpenRig, type Rig, SECOND } from './suite/kit.ts';

/** Low, so that schedules come up against them. In the stores' units. */
const LIMITS: readonly Limit[] = [
  limit('requests/second', 3),
  limit('requests/minute', 6),
  limit('requests/day', 30),
  limit('tokens/second', 60),
  limit('tokens/minute', 100),
  limit('tokens/minute', 70, ['smart', 'größe|"1" / 2']),
  { ...limit('tokens/minute', 80), id: 'key.ci/tokens/minute', scope: 'key' },
  limit('input_tokens/hour', 300),
  limit('output_tokens/day', 500),
  limit('usd/hour', 7_000_000_001),
  limit('usd/month', 1e15),
  limit('concurrent', 3),
];

const TENANTS = 2;
const GATEWAYS = 2;

/** Of one of the schedule's limits, how much: in hundredths of it. */
interface Part {
  /** Modulo how many there are. */
  limit: number;
  share: number;
}

type Step = { look: boolean } & (
  | { does: 'admit'; tenant: number; gateway: number; parts: Part[]; height: number }
  /** The same once more. `pick`: which of those that are under way, or done, or to come; modulo how many there are. */
  | { does: 'admit again'; pick: number }
  /** `shares`: of what was reserved, in hundredths. */
  | { does: 'settle'; pick: number; shares: number[]; ledger: LedgerEntry[] }
  | { does: 'settle again'; pick: number }
  /** What was let in `ago` without the store. */
  | { does: 'charge'; tenant: number; gateway: number; parts: Part[]; ago: number; ledger: LedgerEntry[] }
  | { does: 'wait'; ms: number }
  /** To when something comes back, or just before or after. */
  | { does: 'wait for'; pick: number; off: number }
  | { does: 'crash' }
);

const pick = fc.nat(11);
const tenant = fc.nat(TENANTS - 1);
const gateway = fc.nat(GATEWAYS - 1);
const share = fc.oneof({ weight: 4, arbitrary: fc.nat(60) }, fc.constantFrom(0, 100, 101), fc.nat(130));
const parts = fc.uniqueArray(fc.record({ limit: fc.nat(LIMITS.length - 1), share }), {
  selector: (part) => part.limit,
  maxLength: 6,
  size: 'max',
});
const shares = fc.array(fc.oneof(fc.constantFrom(0, 100), fc.nat(100), fc.nat(300)), {
  minLength: 6,
  maxLength: 6,
});
const sums: fc.Arbitrary<LedgerSums> = fc
  .array(
    fc.maxSafeNat().map((n) => n % 1e13),
    { minLength: LEDGER_SUMS.length, maxLength: LEDGER_SUMS.length },
  )
  .map((values) => {
    const entries = LEDGER_SUMS.map((name, i) => [name, values[i] ?? 0] as const);
    return Object.fromEntries(entries) as Record<keyof LedgerSums, number>;
  });
const name = fc.oneof(fc.constantFrom('smart', 'a|b', 'a', 'b', '-'), fc.string());
const ledger = fc.array(fc.record({ key: fc.constantFrom('ci', '-'), model: name, target: name, sums }), {
  maxLength: 2,
});
const wait = fc.oneof(
  fc.nat(200),
  fc.nat(2 * SECOND),
  fc.nat(2 * MINUTE),
  fc.nat(2 * HOUR),
  fc.nat(2 * DAY),
  fc.nat(40 * DAY),
);
const start = fc
  .tuple(
    fc.constantFrom(
      Date.UTC(2026, 10, 22, 12),
      Date.UTC(2027, 0, 1),
      Date.UTC(2027, 2, 1),
      Date.UTC(2028, 1, 29),
      Date.UTC(2028, 2, 1),
    ),
    fc.integer({ min: -2 * MINUTE, max: MINUTE }),
  )
  .map(([edge, off]) => edge + off);

/** The limits that a schedule is about: fewer of them see more of each other's requests. */
const focus = fc.oneof(
  fc.constantFrom(...LIMITS).map((one) => [one]),
  fc.subarray([...LIMITS], { minLength: 2, maxLength: 4 }),
  fc.constant(LIMITS),
);

const look = fc.boolean();
const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 9,
    arbitrary: fc.record({
      does: fc.constant('admit' as const),
      look,
      tenant,
      gateway,
      parts,
      height: fc.oneof({ weight: 3, arbitrary: fc.constant(100) }, fc.constantFrom(50, 120, 200)),
    }),
  },
  { weight: 1, arbitrary: fc.record({ does: fc.constant('admit again' as const), look, pick }) },
  { weight: 5, arbitrary: fc.record({ does: fc.constant('settle' as const), look, pick, shares, ledger }) },
  { weight: 1, arbitrary: fc.record({ does: fc.constant('settle again' as const), look, pick }) },
  {
    weight: 1,
    arbitrary: fc.record({
      does: fc.constant('charge' as const),
      look,
      tenant,
      gateway,
      parts,
      ago: wait,
      ledger,
    }),
  },
  { weight: 3, arbitrary: fc.record({ does: fc.constant('wait' as const), look, ms: wait }) },
  {
    weight: 3,
    arbitrary: fc.record({
      does: fc.constant('wait for' as const),
      look,
      pick: fc.oneof(fc.nat(1), pick),
      off: fc.constantFrom(-1, 0, 1),
    }),
  },
  { weight: 1, arbitrary: fc.record({ does: fc.constant('crash' as const), look }) },
);

/** How often what was tried came to pass in all runs: a property of schedules in which nothing happens says nothing. */
type Seen = Record<'admitted' | 'refused' | 'settled' | 'settled late' | 'crashed', number>;

/**
 * Any schedule, on a store and on the exact model: they answer alike to the unit and millisecond, and what the store answered keeps
 * what is promised of stretches of time. Registers a test; all runs share the rig, each with tenants of its own.
 */
export function storeProperty(
  title: string,
  open: OpenRig,
  { runs, steps }: { runs: number; steps: number },
): void {
  it(title, async (t: TestContext) => {
    const rig = await open(t);
    const seen: Seen = { admitted: 0, refused: 0, settled: 0, 'settled late': 0, crashed: 0 };
    let run = 0;
    await fc.assert(
      fc.asyncProperty(
        start,
        focus,
        fc.array(step, { minLength: 1, maxLength: steps, size: 'max' }),
        async (from, limits, schedule) => {
          run += 1;
          await rig.setTime(from);
          const runner = await Runner.start(rig, { name: `run${run}`, limits, seen });
          for (const one of schedule) await runner.step(one);
          await runner.finish();
        },
      ),
      { numRuns: runs },
    );
    t.diagnostic(JSON.stringify(seen));
    if (runs < 50) return;
    for (const [what, times] of Object.entries(seen)) {
      if (what !== 'crashed' || rig.crash !== undefined) assert.ok(times >= runs / 10, `${what}: ${times}`);
    }
  });
}

interface UnderWay {
  ticket: Ticket;
  gateway: number;
  used: readonly number[];
}

interface About {
  /** Of the run: its tenants' names begin with it. */
  name: string;
  limits: readonly Limit[];
  seen: Seen;
}

class Runner {
  readonly #rig: Rig;
  readonly #about: About;
  readonly #gateways: QuotaStore[];
  readonly #model = new ExactModel();
  readonly #underWay: UnderWay[] = [];
  readonly #settled: UnderWay[] = [];

  private constructor(rig: Rig, about: About, gateways: QuotaStore[]) {
    this.#rig = rig;
    this.#about = about;
    this.#gateways = gateways;
  }

  static async start(rig: Rig, about: About): Promise<Runner> {
    const gateways = [rig.store];
    if (rig.another !== null) while (gateways.length < GATEWAYS) gateways.push(await rig.another());
    return new Runner(rig, about, gateways);
  }

  async step(step: Step): Promise<void> {
    switch (step.does) {
      case 'admit':
        await this.#admit(step);
        break;
      case 'admit again':
        await this.#admitAgain(step.pick);
        break;
      case 'settle':
        await this.#settle(step);
        break;
      case 'settle again':
        await this.#settleAgain(step.pick);
        break;
      case 'charge':
        await this.#charge(step);
        break;
      case 'wait':
        await this.#rig.setTime(this.#rig.now() + step.ms);
        break;
      case 'wait for':
        await this.#waitFor(step);
        break;
      case 'crash':
        await this.#crash();
    }
    // Not after each: to be looked at mends what was left lying.
    if (step.look) await this.#look();
  }

  async finish(): Promise<void> {
    await this.#look();
    for (let i = 0; i < TENANTS; i++) {
      const tenant = this.#tenant(i);
      const rows = this.#model.ledger(tenant);
      const days = [...new Set(rows.map(({ day }) => day))];
      assert.deepEqual(sorted(await this.#gateway(i).ledger(days, tenant)), sorted(rows));
    }
    for (const store of this.#gateways.slice(1)) await store.close();
  }

  async #look(): Promise<void> {
    const { limits } = this.#about;
    for (let i = 0; i < TENANTS; i++) {
      const standings = await this.#gateway(i).standings(this.#tenant(i), limits);
      assert.deepEqual(standings, this.#model.standings(this.#tenant(i), limits, this.#rig.now()));
    }
  }

  async #admit({ tenant: of, gateway, parts, height }: Step & { does: 'admit' }): Promise<void> {
    const [tenant, id, now] = [this.#tenant(of), newId(), this.#rig.now()];
    const demands = this.#demandsOf(parts, height);
    const within = (stretches: number) =>
      demands.map(({ limit }) => this.#model.takenWithin(tenant, limit, stretches, now));
    const [taken, longer] = [within(1), within(1.05)];
    const verdict = await this.#gateway(gateway).admit({ tenant, id, demands });
    this.#about.seen[verdict.kind] += 1;
    const fits = (sums: readonly number[]) =>
      demands.every(({ limit, amount }, i) => (sums[i] ?? 0) + amount <= limit.max);
    if (verdict.kind === 'admitted') assert.ok(fits(taken), 'a stretch has admitted more than the limit');
    else assert.ok(!fits(longer), 'what was taken more than 1.05 stretches ago is not back');
    const { standings, kind } = this.#model.admit(tenant, id, demands, now, gateway);
    assert.deepEqual({ kind: verdict.kind, standings: verdict.standings }, { kind, standings });
    if (verdict.kind === 'refused') return;
    const { ticket } = verdict;
    assert.partialDeepStrictEqual(ticket, { tenant, id, at: now, demands, held: true });
    this.#underWay.push({ ticket, gateway, used: [] });
  }

  async #admitAgain(pick: number): Promise<void> {
    const request = pickFrom(this.#underWay, pick);
    if (request === undefined || this.#rig.isAskedAgain !== true) return;
    const { ticket, gateway } = request;
    const { tenant, id, demands } = ticket;
    const verdict = await this.#gateway(gateway).admit({ tenant, id, demands });
    const { standings } = this.#model.admit(tenant, id, demands, this.#rig.now(), gateway);
    assert.deepEqual(verdict, { kind: 'admitted', standings, ticket });
    if (verdict.kind === 'admitted') request.ticket = verdict.ticket;
  }

  async #settle({ pick, shares, ledger }: Step & { does: 'settle' }): Promise<void> {
    const request = pickFrom(this.#underWay, pick);
    if (request === undefined) return;
    this.#underWay.splice(this.#underWay.indexOf(request), 1);
    const { ticket } = request;
    const used = usedOf(ticket.demands, shares);
    this.#about.seen.settled += 1;
    if (this.#rig.now() - ticket.at > HOUR) this.#about.seen['settled late'] += 1;
    await this.#apply({ ...request, used }, ledger);
    this.#model.settle(ticket.id, used, ledger);
    this.#settled.push({ ...request, used });
  }

  async #settleAgain(pick: number): Promise<void> {
    const request = pickFrom(this.#settled, pick);
    if (request !== undefined) await this.#apply(request, []);
  }

  async #charge({ tenant: of, gateway, parts, ago, ledger }: Step & { does: 'charge' }): Promise<void> {
    const [tenant, at, demands] = [this.#tenant(of), this.#rig.now() - ago, this.#demandsOf(parts, 100)];
    const ticket: Ticket = { tenant, id: newId(), at, demands, held: false };
    const used = usedOf(demands, [70, 70, 70, 70, 70, 70]);
    await this.#apply({ ticket, gateway, used }, ledger);
    this.#model.charge(tenant, demands, used, at, ledger);
  }

  async #waitFor({ pick, off }: Step & { does: 'wait for' }): Promise<void> {
    const edge = pickFrom(this.#model.edges(this.#rig.now()), pick);
    if (edge !== undefined) await this.#rig.setTime(Math.max(this.#rig.now(), edge + off));
  }

  /** Not of the first one, which is there for the next run as well. */
  async #crash(): Promise<void> {
    const { crash, leaseMs, another } = this.#rig;
    const last = this.#gateways.length - 1;
    const store = this.#gateways[last];
    if (crash === undefined || leaseMs === undefined || another === null || store === undefined) return;
    this.#about.seen.crashed += 1;
    await crash.call(this.#rig, store);
    this.#gateways.pop();
    // Until its lease is over, nothing changes.
    await this.#look();
    await this.#rig.setTime(this.#rig.now() + leaseMs + 1);
    this.#model.giveBack(last);
    for (const one of this.#underWay.filter(({ gateway }) => gateway === last)) {
      this.#underWay.splice(this.#underWay.indexOf(one), 1);
    }
    for (const one of this.#settled.filter(({ gateway }) => gateway === last)) {
      this.#settled.splice(this.#settled.indexOf(one), 1);
    }
    this.#gateways.push(await another());
  }

  async #apply({ ticket, gateway, used }: UnderWay, ledger: readonly LedgerEntry[]): Promise<void> {
    const store = this.#gateway(gateway);
    store.settle({ ticket, used, ledger });
    await store.flush(ticket.tenant);
  }

  /** `height`: in hundredths, of the limits as they usually are. */
  #demandsOf(parts: readonly Part[], height: number): Demand[] {
    const demands = new Map<string, Demand>();
    for (const { limit: i, share } of parts) {
      const usual = pickFrom(this.#about.limits, i);
      if (usual === undefined) continue;
      const of = { ...usual, max: Math.floor((usual.max * height) / 100) };
      const counted = of.of === 'requests' || of.of === 'concurrent';
      demands.set(of.id, { limit: of, amount: counted ? 1 : Math.floor((usual.max * share) / 100) });
    }
    return [...demands.values()];
  }

  #gateway(i: number): QuotaStore {
    return pickFrom(this.#gateways, i) ?? this.#rig.store;
  }

  #tenant(i: number): string {
    return `${this.#about.name}-${i}`;
  }
}

function pickFrom<T>(list: readonly T[], pick: number): T | undefined {
  return list[pick % list.length];
}

function usedOf(demands: readonly Demand[], shares: readonly number[]): number[] {
  return demands.map(({ limit, amount }, i) => {
    const counted = limit.of === 'requests' || limit.of === 'concurrent';
    return counted ? 0 : Math.floor((amount * (shares[i] ?? 0)) / 100);
  });
}

function sorted(rows: readonly LedgerRow[]): LedgerRow[] {
  const name = ({ day, key, model, target }: LedgerRow) => JSON.stringify([day, key, model, target]);
  return rows.toSorted((a, b) => (name(a) < name(b) ? -1 : 1));
}
