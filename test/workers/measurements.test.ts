import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { inPieces, type Told } from '../../src/accounting/aggregate.ts';
import { inWords, SERIES_AT_ONCE } from '../../src/accounting/exposition.ts';
import { newRegistry } from '../../src/accounting/prometheus.ts';
import { CounterFamily, registerGauge } from '../../src/accounting/series.ts';
import { Measurements } from '../../src/workers/measurements.ts';
import type { Kind, Questions } from '../../src/workers/questions.ts';
import { WorkerGone, WorkerSilent } from '../../src/workers/worker-process.ts';
import { ManualClock } from '../support/manual-clock.ts';
import { Gate } from '../support/upstream.ts';

/** A worker that answers as real ones do. */
class Worker {
  readonly #registry = newRegistry();
  readonly #family = new CounterFamily(this.#registry, { name: 'c', help: 'h', labels: ['tenant'] });
  /** Tenants that there are for it; null: it cannot know. */
  tenants: Set<string> | null = new Set();
  /** What is done before it answers with a piece of its metrics. */
  beforePiece: (piece: number) => Promise<void> | void = () => {};
  /** How many series each of its answers had. */
  readonly answers: number[] = [];
  readonly limits: number[] = [];
  #telling: AsyncGenerator<Told[]> | null = null;
  #pieces = 0;

  constructor() {
    registerGauge(this.#registry, { name: 'spillway_workers', help: 'h' }, () => [{ labels: {}, value: 1 }]);
  }

  count(tenant: string, by = 1): void {
    this.#family.with({ tenant }).value += by;
  }

  async ask<K extends Kind>(
    kind: K,
    asked: Questions[K]['asked'],
    within: number,
  ): Promise<Questions[K]['answer']> {
    this.limits.push(within);
    return (
      kind === 'metrics'
        ? await this.#piece(asked as Questions['metrics']['asked'])
        : this.#missing(asked as Questions['missingTenants']['asked'])
    ) as Questions[K]['answer'];
  }

  async #piece({ anew }: Questions['metrics']['asked']): Promise<Told[] | null> {
    if (anew) {
      const ours = this.#registry.getMetricsAsArray().filter(({ name }) => !/^(nodejs|process)_/.test(name));
      this.#telling = inPieces(inWords(ours));
      this.#pieces = 0;
    }
    await this.beforePiece(++this.#pieces);
    const piece: Told[] | null = (await this.#telling?.next())?.value ?? null;
    if (piece !== null) this.answers.push(piece.reduce((sum, { series }) => sum + series.length, 0));
    return piece;
  }

  #missing({ tenants }: Questions['missingTenants']['asked']): string[] | null {
    assert.ok(tenants.length <= SERIES_AT_ONCE);
    const { tenants: known } = this;
    return known === null ? null : tenants.filter((tenant) => !known.has(tenant));
  }
}

function open(...accepting: Worker[]) {
  const clock = new ManualClock();
  const measurements = new Measurements(clock);
  const fleet = { accepting };
  const scrape = async () => (await measurements.text(fleet)).text.split('\n');
  return {
    clock,
    measurements,
    scrape,
    /** The value of what was counted for a tenant, as Prometheus would read it; null: there is no such series. */
    counted: async (tenant: string) => {
      const start = `c{tenant="${tenant}"} `;
      const line = (await scrape()).find((one) => one.startsWith(start));
      return line === undefined ? null : Number(line.slice(start.length));
    },
    die: (worker: Worker) => {
      fleet.accepting = fleet.accepting.filter((one) => one !== worker);
      measurements.died(worker);
    },
    begin: (worker: Worker) => {
      fleet.accepting = [...fleet.accepting, worker];
    },
  };
}

function workerWith(counts: Record<string, number>, tenants: readonly string[] | null = ['acme']): Worker {
  const worker = new Worker();
  worker.tenants = tenants === null ? null : new Set(tenants);
  for (const [tenant, count] of Object.entries(counts)) worker.count(tenant, count);
  return worker;
}

describe('what workers tell of many tenants', () => {
  it('comes in many answers of a bounded size, and is added up whole', async () => {
    const many = Array.from({ length: 3_500 }, (_, i) => [`t${i}`, i] as const);
    const workers = [workerWith(Object.fromEntries(many)), workerWith(Object.fromEntries(many))];
    const { scrape } = open(...workers);
    const lines = await scrape();
    for (const { answers } of workers) {
      assert.equal(answers.length, 4);
      assert.ok(
        answers.every((size) => size <= SERIES_AT_ONCE),
        String(answers),
      );
    }
    assert.deepEqual(
      lines.filter((line) => line.startsWith('c{')),
      many.map(([tenant, count]) => `c{tenant="${tenant}"} ${2 * count}`),
    );
    assert.ok(lines.includes('spillway_workers 2'));
  });

  it('counts as it was the last time where one dies in the middle of it', async () => {
    const tenants = Object.fromEntries(Array.from({ length: 2_500 }, (_, i) => [`t${i}`, 1]));
    const victim = workerWith({ ...tenants, acme: 5 });
    const other = workerWith({ acme: 2 });
    const { counted, die, scrape } = open(victim, other);
    assert.equal(await counted('acme'), 7);
    victim.count('t0', 10);
    victim.count('acme', 10);
    victim.beforePiece = (piece) => {
      if (piece < 2) return;
      die(victim);
      throw new WorkerGone();
    };
    other.count('acme');
    assert.equal(await counted('acme'), 8);
    const lines = await scrape();
    assert.ok(lines.includes('c{tenant="t0"} 1') && lines.includes('c{tenant="t2499"} 1'));
    assert.ok(lines.includes('spillway_workers 1'));
    assert.ok(lines.includes('spillway_worker_deaths_total 1'));
  });

  it('counts as it was the last time where one falls silent in the middle of it', async () => {
    const slow = workerWith({ acme: 5 });
    const { counted, scrape } = open(slow, workerWith({ acme: 2 }));
    assert.equal(await counted('acme'), 7);
    slow.count('acme', 10);
    slow.beforePiece = (piece) => {
      if (piece === 2) throw new WorkerSilent();
    };
    const lines = await scrape();
    assert.ok(lines.includes('c{tenant="acme"} 7') && lines.includes('spillway_workers 1'));
    slow.beforePiece = () => {};
    assert.equal(await counted('acme'), 17);
  });

  it('has three seconds for each answer, and eight for all of them', async () => {
    const worker = workerWith(Object.fromEntries(Array.from({ length: 3_500 }, (_, i) => [`t${i}`, 1])));
    const { clock, scrape } = open(worker);
    worker.beforePiece = () => clock.advance(2_000);
    await scrape();
    assert.deepEqual(worker.limits, [3_000, 3_000, 3_000, 2_000, 0]);
  });

  it('is asked for once more for all who ask while it is told', async () => {
    const worker = workerWith({ acme: 1 });
    const gate = new Gate();
    worker.beforePiece = () => gate.passed();
    const { counted } = open(worker);
    const first = counted('acme');
    await new Promise(setImmediate);
    worker.beforePiece = () => {};
    const others = [counted('acme'), counted('acme')];
    await new Promise(setImmediate);
    gate.open();
    assert.equal(await first, 1);
    worker.count('acme');
    assert.deepEqual(await Promise.all(others), [2, 2]);
    assert.equal(worker.answers.length, 2);
  });

  it('adds up over any number of deaths', async () => {
    const { counted, begin, die } = open();
    for (let deaths = 1; deaths <= 5; deaths++) {
      const worker = workerWith({ acme: 1 });
      begin(worker);
      assert.equal(await counted('acme'), deaths);
      die(worker);
      if (deaths % 2 === 0) assert.equal(await counted('acme'), deaths);
    }
    assert.equal(await counted('acme'), 5);
  });
});

describe('what a dead worker counted for a tenant', () => {
  async function oneDied(...others: Worker[]) {
    const victim = workerWith({ acme: 5, unknown: 1 });
    const gateway = open(victim, ...others);
    await gateway.scrape();
    gateway.die(victim);
    return gateway;
  }

  it('is gone at the second scrape that finds the tenant gone', async () => {
    const { counted } = await oneDied(workerWith({}, []), workerWith({}, []));
    assert.equal(await counted('acme'), 5);
    assert.equal(await counted('acme'), null);
    assert.equal(await counted('unknown'), 1);
  });

  it('stays where the tenant is there again by then', async () => {
    const worker = workerWith({}, []);
    const { counted } = await oneDied(worker);
    for (let i = 0; i < 3; i++) {
      worker.tenants = new Set();
      assert.equal(await counted('acme'), 5);
      worker.tenants = new Set(['acme']);
      assert.equal(await counted('acme'), 5);
    }
  });

  it('stays as long as one of them knows the tenant', async () => {
    const { counted } = await oneDied(workerWith({ acme: 2 }), workerWith({}, []));
    for (let i = 0; i < 4; i++) assert.equal(await counted('acme'), 7);
  });

  it('stays while one of them cannot know', async () => {
    const begins = workerWith({}, null);
    const { counted } = await oneDied(workerWith({}, []), begins);
    for (let i = 0; i < 4; i++) assert.equal(await counted('acme'), 5);
    begins.tenants = new Set();
    assert.equal(await counted('acme'), 5, 'the first that finds it gone');
    assert.equal(await counted('acme'), null);
  });

  it('stays while nobody answers', async () => {
    const { counted } = await oneDied();
    for (let i = 0; i < 4; i++) assert.equal(await counted('acme'), 5);
  });
});
