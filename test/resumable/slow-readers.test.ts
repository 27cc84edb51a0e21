import assert from 'node:assert/strict';
import { it } from 'node:test';
import type { Principal } from '../../src/auth/keyring.ts';
import { Cancellation } from '../../src/core/cancellation.ts';
import type { Exchange } from '../../src/pipeline/exchange.ts';
import type { Live } from '../../src/pipeline/live.ts';
import { resume } from '../../src/pipeline/resume.ts';
import { MemoryStreams } from '../../src/replay/memory-streams.ts';
import { Writer } from '../replay/stream-kit.ts';
import { ManualClock } from '../support/manual-clock.ts';

/** An exchange that takes so many bytes before it says that it is slow, which it finds out at the end of a turn. */
function taking(room: number) {
  const state = { bytes: 0, texts: [] as Buffer[], ended: false, drain: () => {}, room };
  let seen = 0;
  const exchange: Exchange = {
    header: () => undefined,
    body: Buffer.alloc(0),
    dialect: 'chat',
    principal: { tenant: { id: 'acme' } } as Principal,
    live: null,
    requestId: 'r',
    startedAt: 0,
    readAt: 0,
    cancellation: new Cancellation(),
    send: (status, _headers, body) => assert.fail(`${status} ${body}`),
    stream: (_headers, onDrain) => {
      state.drain = onDrain;
      return {
        write(bytes) {
          state.bytes += bytes.length;
          state.texts.push(Buffer.from(bytes));
          process.nextTick(() => {
            seen = state.bytes;
          });
          return seen < state.room;
        },
        end: () => {
          state.ended = true;
        },
      };
    },
  };
  return { exchange, state };
}

const turn = () => new Promise(setImmediate);

it('of a long stream a reader is written only what it takes, and little more', async () => {
  const clock = new ManualClock();
  const streams = new MemoryStreams(clock);
  const writer = new Writer(streams).begin();
  for (let i = 0; i < 600; i++) writer.writeText(`data: ${'x'.repeat(10_000)}\n\n`);
  writer.end();
  const { exchange, state } = taking(200_000);
  const live = { heartbeat: 0 } as Live;
  await resume(exchange, live, { id: 's', after: null }, { streams, clock, resumed: () => {} });
  assert.ok(state.bytes < 100_000, `${state.bytes} in one turn`);
  for (let i = 0; i < 20; i++) await turn();
  assert.ok(state.bytes >= 200_000 && state.bytes < 300_000, `${state.bytes}`);
  const before = state.bytes;
  state.room = Number.POSITIVE_INFINITY;
  for (let i = 0; i < 20; i++) await turn();
  assert.equal(state.bytes, before);
  state.drain();
  for (let i = 0; i < 200 && !state.ended; i++) await turn();
  assert.equal(state.ended, true);
  const numbers = [
    ...Buffer.concat(state.texts)
      .toString()
      .matchAll(/^id: (\d+)$/gm),
  ].map(([, n]) => Number(n));
  assert.deepEqual(
    numbers,
    Array.from({ length: 600 }, (_, i) => i + 1),
  );
});

it('a reader that leaves in the middle of a turn is written nothing more', async () => {
  const clock = new ManualClock();
  const streams = new MemoryStreams(clock);
  const writer = new Writer(streams).begin();
  for (let i = 0; i < 600; i++) writer.writeText(`data: ${'x'.repeat(10_000)}\n\n`);
  const { exchange, state } = taking(Number.POSITIVE_INFINITY);
  const live = { heartbeat: 1000 } as Live;
  await resume(exchange, live, { id: 's', after: null }, { streams, clock, resumed: () => {} });
  const before = state.bytes;
  exchange.cancellation.cancel('client_gone');
  for (let i = 0; i < 20; i++) await turn();
  writer.write(1);
  assert.equal(state.bytes, before);
  assert.equal(clock.pending, 0);
});
