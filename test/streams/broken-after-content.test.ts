import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import {
  delta,
  interruptions,
  type Received,
  type Rig,
  ROLE,
  readEvents,
  startRig,
  text,
  turns,
} from '../support/rig.ts';
import {
  chunk,
  close,
  Gate,
  head,
  named,
  pauseUntil,
  reset,
  type Script,
  script,
  silence,
  stream,
  write,
} from '../support/upstream.ts';

const CONTENT = [ROLE, text('Hello'), text(' wor')];
const TIMES = { attempt: '2m', total: '3m', idle: '30s', first_token: '20s' };
const EVENT_STREAM = { 'content-type': 'text/event-stream', 'transfer-encoding': 'chunked' };

const allOf = (events: readonly object[]) =>
  events.map((event) => `data: ${JSON.stringify(event)}\n\n`).join('');

/** Fails unless the client got what came, then one error event, and no end mark; and the books say so. */
async function assertInterrupted(rig: Rig, received: Received, outcome: string): Promise<void> {
  assert.equal(received.content, 'Hello wor');
  assert.equal(received.done, false);
  assert.ok(received.error);
  assert.equal(received.error.code, 'stream_interrupted');
  assert.equal(received.error.type, 'server_error');
  assert.equal(received.error.param, null);
  assert.match(received.error.message, /^The stream was interrupted: /);
  assert.equal(await interruptions(rig), 1);
  const line = await rig.line();
  assert.equal(line.outcome, outcome);
  assert.equal(line.status, 200, 'the status had been sent');
  assert.deepEqual(
    line.tries.map((made) => [made.outcome, made.status]),
    [[outcome, 200]],
  );
  await rig.nothingLeft();
}

/** What happens after the first content, by itself. */
const ENDS: Record<string, [how: Script, outcome: string]> = {
  'a cut': [stream([...CONTENT, close()]), 'broken_body'],
  'a reset': [stream([...CONTENT, reset()]), 'broken_body'],
  'an end of the body without a finish': [stream(CONTENT, { done: false }), 'broken_body'],
  'an end of a body that ends with its connection': [
    stream(CONTENT, { done: false, framing: 'close' }),
    'broken_body',
  ],
  'an end mark without a finish': [stream(CONTENT), 'broken_body'],
  'an unfinished chunk': [
    script(head(200, EVENT_STREAM), write(chunk(allOf(CONTENT))), write('ff\r\ndata: {"choi'), close()),
    'broken_body',
  ],
  'a chunked body without its last chunk': [
    script(head(200, EVENT_STREAM), write(chunk(allOf(CONTENT))), close()),
    'broken_body',
  ],
  'a broken chunk size': [
    script(head(200, EVENT_STREAM), write(chunk(allOf(CONTENT))), write('nonsense\r\n')),
    'broken_body',
  ],
  'less than its content-length': [
    script(
      head(200, { 'content-type': 'text/event-stream', 'content-length': '5000' }),
      write(allOf(CONTENT)),
      close(),
    ),
    'broken_body',
  ],
  'an event cut in the middle': [
    stream([...CONTENT, 'data: {"choices":[{"index":0,"del'], { done: false }),
    'broken_body',
  ],
  'an error event': [
    stream([...CONTENT, { error: { message: 'no', code: 'server_error' } }]),
    'server_error',
  ],
  'an error event, then more': [
    stream([...CONTENT, { error: { message: 'no' } }, text('more'), delta({}, 'stop')]),
    'broken_body',
  ],
  'an error that is a text': [stream([...CONTENT, { error: 'no' }]), 'broken_body'],
  'an error event that says overloaded': [
    stream([...CONTENT, { error: { message: 'no', type: 'overloaded_error' } }]),
    'overloaded',
  ],
  'a chunk with an error beside its choices': [
    stream([...CONTENT, { ...(delta({ content: '' }) as object), error: { message: 'no', code: 502 } }]),
    'server_error',
  ],
  'a finish reason of error': [
    stream([...CONTENT, delta({ content: '' }, 'error'), delta({}, 'stop')]),
    'broken_body',
  ],
  'a finish reason of error, with the error in the choice': [
    stream([
      ...CONTENT,
      {
        ...(delta({}) as object),
        choices: [{ index: 0, delta: {}, finish_reason: 'error', error: { code: 502, message: 'no' } }],
      },
    ]),
    'server_error',
  ],
  'an event called error': [
    stream([...CONTENT, named('error', { type: 'error', message: 'no' })]),
    'broken_body',
  ],
  'an event called error that is no JSON': [
    stream([...CONTENT, 'event: error\ndata: Internal Server Error', delta({}, 'stop')]),
    'broken_body',
  ],
  'an error of Groq': [
    stream([...CONTENT, { ...(delta({}) as object), x_groq: { id: 'req_1', error: 'over capacity' } }]),
    'broken_body',
  ],
  'an event that is larger than any': [
    stream([...CONTENT, ...Array.from({ length: 17 }, () => Buffer.alloc(1024 * 1024, 'data: x'))]),
    'broken_body',
  ],
};

describe('a stream that breaks after its first content', () => {
  for (const [name, [how, outcome]] of Object.entries(ENDS)) {
    it(`ends in one error event and no end mark: ${name}`, async (t) => {
      const rig = await startRig(t, { node: { timeouts: TIMES }, second: true });
      rig.upstream.enqueue(how);
      const received = readEvents(await (await rig.stream()).rest());
      await assertInterrupted(rig, received, outcome);
      assert.equal(rig.second.requests.length, 0, 'nobody else was asked');
    });
  }

  it('ends so after `idle` without a byte', async (t) => {
    const rig = await startRig(t, { node: { timeouts: TIMES } });
    rig.upstream.enqueue(stream([...CONTENT, silence()]));
    const reader = await rig.stream();
    await reader.until(' wor');
    rig.clock.advance(29_999);
    await turns();
    assert.ok(!reader.text.includes('error'));
    rig.clock.advance(1);
    const received = readEvents(await reader.rest());
    assert.match(received.error?.message ?? '', /silent for 30000 ms/);
    await assertInterrupted(rig, received, 'broken_body');
    assert.equal(rig.upstream.requests[0]?.aborted, true);
  });

  it('puts `idle` off with every byte, comments too', async (t) => {
    const rig = await startRig(t, { node: { timeouts: TIMES } });
    const gate = new Gate();
    rig.upstream.enqueue(
      stream([
        ...CONTENT,
        pauseUntil(gate),
        ': ping',
        pauseUntil(gate),
        write('1\r\n\n\r\n'),
        pauseUntil(gate),
      ]),
    );
    const reader = await rig.stream();
    await reader.until(' wor');
    for (let pause = 1; pause <= 3; pause++) {
      await gate.reached(pause);
      await turns();
      rig.clock.advance(29_000);
      assert.ok(!reader.text.includes('error'));
      gate.step();
    }
    await assertInterrupted(rig, readEvents(await reader.rest()), 'broken_body');
  });

  it('ends so when the try has taken longer than `attempt`', async (t) => {
    const rig = await startRig(t, { node: { timeouts: TIMES } });
    const gate = new Gate();
    const waits = Array.from({ length: 10 }, () => [pauseUntil(gate), ': ping']).flat();
    rig.upstream.enqueue(stream([...CONTENT, ...waits]));
    const reader = await rig.stream();
    await reader.until(' wor');
    for (let pause = 1; pause <= 6; pause++) {
      await gate.reached(pause);
      await turns();
      rig.clock.advance(20_000);
      gate.step();
    }
    const received = readEvents(await reader.rest());
    assert.match(received.error?.message ?? '', /no whole answer within 120000 ms/);
    await assertInterrupted(rig, received, 'timeout');
    assert.equal(rig.upstream.requests[0]?.aborted, true);
  });

  it('ends so when the request has taken longer than `total`', async (t) => {
    const rig = await startRig(t, { node: { timeouts: { ...TIMES, total: '1m' } } });
    const gate = new Gate();
    const waits = Array.from({ length: 10 }, () => [pauseUntil(gate), ': ping']).flat();
    rig.upstream.enqueue(stream([...CONTENT, ...waits]));
    const reader = await rig.stream();
    await reader.until(' wor');
    for (let pause = 1; pause <= 3; pause++) {
      await gate.reached(pause);
      await turns();
      rig.clock.advance(20_000);
      gate.step();
    }
    await assertInterrupted(rig, readEvents(await reader.rest()), 'deadline');
    assert.equal(rig.upstream.requests[0]?.aborted, true);
  });
});
