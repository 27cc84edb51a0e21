/** Whatever is written when, and however often its readers lose it and come back: each has got the stream, once and whole. */
import assert from 'node:assert/strict';
import { after, describe, it } from 'node:test';
import fc from 'fast-check';
import { MemoryStreams } from '../../src/replay/memory-streams.ts';
import type { StreamLogs } from '../../src/replay/stream-log.ts';
import { ManualClock } from '../support/manual-clock.ts';
import { startRedis } from '../support/redis.ts';
import { openGateway, Reader, Writer } from './stream-kit.ts';

interface Stage {
  /** Where a reader may ask. The first is where it is written. */
  gateways: readonly StreamLogs[];
  /** Lets time pass, and all that it brings about. */
  pass(ms: number): Promise<void>;
  /** Takes from the store what it keeps. */
  lose(): Promise<void>;
}

/** Someone who wants the whole stream, and comes back for it again and again. */
class Client {
  text = '';
  #reader: Reader | null = null;

  get last(): number {
    return this.#reader?.last || Number([...this.text.matchAll(/^id: (\d+)$/gm)].at(-1)?.[1] ?? 0);
  }

  get isDone(): boolean {
    return this.#reader?.how === 'over';
  }

  async connect(streams: StreamLogs, id: string, room: number): Promise<void> {
    if (this.isDone) return;
    this.leave();
    const found = await streams.read('acme', id, this.last);
    if (found === 'unknown') return;
    assert.ok(!('kind' in found), 'all of it is kept');
    this.#reader = new Reader(found, room);
  }

  leave(): void {
    if (this.#reader === null || this.isDone) return;
    this.#reader.reading.close();
    assert.equal(this.#reader.how, null);
    this.text += this.#reader.text;
    this.#reader = null;
  }

  take(room: number): void {
    if (this.#reader?.how === null) this.#reader.take(room);
  }

  get all(): string {
    return this.text + (this.#reader?.text ?? '');
  }
}

const CLIENTS = 3;
const client = fc.nat(CLIENTS - 1);
const room = fc.oneof(fc.integer({ min: 1, max: 3 }), fc.constant(Number.POSITIVE_INFINITY));
const act = fc.oneof(
  { weight: 6, arbitrary: fc.record({ do: fc.constant('write' as const), sizes: sizes() }) },
  {
    weight: 3,
    arbitrary: fc.record({ do: fc.constant('pass' as const), ms: fc.integer({ min: 1, max: 300 }) }),
  },
  {
    weight: 5,
    arbitrary: fc.record({ do: fc.constant('connect' as const), client, gateway: fc.nat(9), room }),
  },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('leave' as const), client }) },
  { weight: 3, arbitrary: fc.record({ do: fc.constant('take' as const), client, room }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('lose' as const) }) },
);

type Act = typeof act extends fc.Arbitrary<infer T> ? T : never;

/** Of the events of one write, in characters: most are short, some are longer than what is kept or sent at once. */
function sizes() {
  const size = fc.oneof({ weight: 9, arbitrary: fc.nat(300) }, { weight: 1, arbitrary: fc.nat(40_000) });
  return fc.array(size, { minLength: 1, maxLength: 4 });
}

async function run({ gateways, pass, lose }: Stage, id: string, acts: readonly Act[]) {
  const [here] = gateways as [StreamLogs];
  const writer = new Writer(here, { wanted: id }).begin();
  const clients = Array.from({ length: CLIENTS }, () => new Client());
  const at = (number: number) => gateways[number % gateways.length] as StreamLogs;
  let written = '';
  let count = 0;
  for (const one of acts) {
    if (one.do === 'pass') await pass(one.ms);
    else if (one.do === 'lose') await lose();
    else if (one.do === 'write') {
      const texts = one.sizes.map((size) => `data: ${'x'.repeat(size)}\n\n`);
      written += texts.map((text) => `id: ${++count}\n${text}`).join('');
      writer.writeText(texts.join(''));
    } else {
      const who = clients[one.client] as Client;
      if (one.do === 'leave') who.leave();
      else if (one.do === 'take') who.take(one.room);
      else await who.connect(at(one.gateway), id, one.room);
    }
    for (const { all } of clients) assert.ok(written.startsWith(all), 'a gap, or something twice');
  }
  writer.end();
  for (let i = 0; clients.some(({ isDone }) => !isDone); i++) {
    assert.ok(i < 100, 'it never ends');
    for (const [number, who] of clients.entries()) {
      if (!who.isDone) await who.connect(at(i + number), id, Number.POSITIVE_INFINITY);
    }
    for (let j = 0; j < 20; j++) await pass(200);
  }
  for (const { all } of clients) assert.equal(all, written);
  assert.equal(writer.wasRemoved, 0);
}

const script = fc.array(act, { minLength: 1, maxLength: 60 });

describe('a stream, whatever happens to its readers,', () => {
  it('is read whole in memory', async () => {
    const clock = new ManualClock(1000);
    const streams = new MemoryStreams(clock);
    let runs = 0;
    const stage = {
      gateways: [streams],
      pass: async (ms: number) => clock.advance(ms),
      lose: async () => {},
    };
    await fc.assert(
      fc.asyncProperty(script, (acts) => run(stage, `s${++runs}`, acts)),
      { numRuns: 300 },
    );
    clock.advance(3_600_000);
    assert.deepEqual([streams.count, streams.size, clock.pending], [0, 0, 0]);
  });

  it('is read whole from any gateway, even if Redis loses all it had in the middle', async () => {
    const redis = await startRedis({ after });
    const clock = new ManualClock(1000);
    const gateways = [
      await openGateway({ after }, redis.url, { clock, secret: 'a secret' }),
      await openGateway({ after }, redis.url, { clock, secret: 'a secret' }),
    ];
    let runs = 0;
    const settle = async () => {
      // Replies come in the order of the questions.
      for (let i = 0; i < 3; i++) {
        await Promise.all(gateways.map(({ client }) => client.command('EXISTS', 'spillway:{acme}:x')));
        await new Promise(setImmediate);
      }
    };
    const stage = {
      gateways: gateways.map(({ streams }) => streams),
      pass: async (ms: number) => {
        await settle();
        clock.advance(ms);
        await settle();
      },
      lose: async () => {
        await settle();
        await redis.call('FLUSHALL');
      },
    };
    await fc.assert(
      fc.asyncProperty(script, (acts) => run(stage, `s${++runs}`, acts)),
      { numRuns: 100 },
    );
  });
});
