import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import {
  FINISH,
  interruptions,
  type Rig,
  ROLE,
  readEvents,
  type StreamReader,
  startRig,
  text,
  turns,
  usage,
} from '../support/rig.ts';
import {
  close,
  flush,
  Gate,
  head,
  pauseUntil,
  reset,
  type Script,
  silence,
  stream,
  write,
} from '../support/upstream.ts';

const CONTENT = [ROLE, text('Hello')];
const WHOLE = [...CONTENT, FINISH].map((event) => `data: ${JSON.stringify(event)}\n\n`).join('');
const WANTS_USAGE = { stream_options: { include_usage: true } };
const INPUT_9_OUTPUT_12 = { input: 9, output: 12, cached: 0, reasoning: 0 };

async function assertWhole(rig: Rig, reader: StreamReader): Promise<ReturnType<typeof readEvents>> {
  const received = readEvents(await reader.rest());
  assert.equal(received.content, 'Hello');
  assert.equal(received.error, null);
  assert.equal(received.done, true);
  const line = await rig.line();
  assert.equal(line.outcome, 'ok');
  assert.deepEqual(
    line.tries.map(({ outcome }) => outcome),
    ['ok'],
  );
  assert.equal(await interruptions(rig), 0);
  return received;
}

describe('a stream with a finish', () => {
  const ends: Record<string, Script> = {
    'an end mark': stream([...CONTENT, FINISH]),
    'an end mark without its blank line': stream([...CONTENT, FINISH, Buffer.from('data: [DONE]\n')], {
      done: false,
    }),
    'an end mark with a space': stream([...CONTENT, FINISH, 'data:  [DONE] '], { done: false }),
    'the end of the body': stream([...CONTENT, FINISH], { done: false }),
    'the end of a body that ends with its connection': stream([...CONTENT, FINISH], {
      done: false,
      framing: 'close',
    }),
    'the end of the connection': stream([...CONTENT, FINISH, close()]),
    'a reset': stream([...CONTENT, FINISH, reset()]),
    'an end mark and a reset': stream([...CONTENT, FINISH, 'data: [DONE]', reset()]),
    'an event that is cut': stream([...CONTENT, FINISH, Buffer.from('data: {"choi'), close()]),
    'an error event': stream([...CONTENT, FINISH, { error: { message: 'no' } }]),
    'an event that is larger than any': stream([
      ...CONTENT,
      FINISH,
      ...Array.from({ length: 17 }, () => Buffer.alloc(1024 * 1024, 'data: x')),
    ]),
    'more than its length allows, in a packet of its own': [
      head(200, { 'content-type': 'text/event-stream', 'content-length': String(WHOLE.length) }),
      write(WHOLE),
      flush,
      write('data: more\n\n'),
      flush,
      close(),
    ],
    'usage and the end of the connection': stream([...CONTENT, FINISH, usage(), close()]),
  };
  for (const [name, how] of Object.entries(ends)) {
    it(`is whole, followed by ${name}`, async (t) => {
      const rig = await startRig(t);
      rig.upstream.enqueue(how);
      await assertWhole(rig, await rig.stream());
      await rig.nothingLeft();
    });
  }

  it('is whole after one second of silence', async (t) => {
    const rig = await startRig(t);
    rig.upstream.enqueue(stream([...CONTENT, FINISH, silence()]));
    const reader = await rig.stream();
    await reader.until('"finish_reason":"stop"');
    rig.clock.advance(999);
    await turns();
    assert.ok(!reader.text.includes('[DONE]'));
    rig.clock.advance(1);
    await assertWhole(rig, reader);
    // The body has another second to end, so that its socket can be used again.
    await turns();
    assert.equal(rig.upstream.requests[0]?.aborted, false);
    rig.clock.advance(1_000);
    await rig.nothingLeft();
    assert.equal(rig.upstream.requests[0]?.aborted, true);
  });

  it('is whole after one second of comments', async (t) => {
    const rig = await startRig(t);
    const gate = new Gate();
    const pings = Array.from({ length: 9 }, () => [pauseUntil(gate), ': ping']).flat();
    rig.upstream.enqueue(stream([...CONTENT, FINISH, ...pings]));
    const reader = await rig.stream();
    await reader.until('"finish_reason":"stop"');
    for (let ping = 1; ping <= 5; ping++) {
      await gate.reached(ping);
      await turns();
      rig.clock.advance(200);
      gate.step();
    }
    await assertWhole(rig, reader);
    gate.open();
    await rig.nothingLeft();
  });

  for (const [bound, timeouts] of Object.entries({
    idle: { idle: '500ms' },
    attempt: { attempt: '10s' },
    total: { total: '10s', attempt: '10s', first_token: '5s' },
  })) {
    it(`is whole if \`${bound}\` is over before that second`, async (t) => {
      const rig = await startRig(t, { node: { timeouts } });
      const gate = new Gate();
      rig.upstream.enqueue(stream([...CONTENT, pauseUntil(gate), FINISH, silence()]));
      const reader = await rig.stream();
      await reader.until('Hello');
      await turns();
      if (bound !== 'idle') rig.clock.advance(9_600);
      gate.open();
      await reader.until('"finish_reason":"stop"');
      rig.clock.advance(500);
      await assertWhole(rig, reader);
      rig.clock.advance(1_000);
      await rig.nothingLeft();
    });
  }

  it('awaits usage that comes a while later, and passes it on', async (t) => {
    const rig = await startRig(t);
    const gate = new Gate();
    rig.upstream.enqueue(stream([...CONTENT, FINISH, pauseUntil(gate), usage()]));
    const reader = await rig.stream(WANTS_USAGE);
    await reader.until('"finish_reason":"stop"');
    rig.clock.advance(900);
    gate.open();
    const received = await assertWhole(rig, reader);
    assert.equal(received.chunks.at(-1)?.usage?.prompt_tokens, 9);
    assert.deepEqual((await rig.line()).tokens, INPUT_9_OUTPUT_12);
    await rig.nothingLeft();
  });

  it('ends with the usage chunk, though the end mark does not come', async (t) => {
    const rig = await startRig(t);
    rig.upstream.enqueue(stream([...CONTENT, FINISH, usage(), silence()]));
    const received = await assertWhole(rig, await rig.stream(WANTS_USAGE));
    assert.equal(received.chunks.at(-1)?.usage?.prompt_tokens, 9);
    rig.clock.advance(1_000);
    await rig.nothingLeft();
  });

  it('takes usage from the chunk that finishes', async (t) => {
    const rig = await startRig(t);
    const last = { ...(FINISH as object), usage: { prompt_tokens: 9, completion_tokens: 12 } };
    rig.upstream.enqueue(stream([...CONTENT, last, close()]));
    const received = await assertWhole(rig, await rig.stream());
    assert.equal(received.chunks.at(-1)?.usage?.completion_tokens, 12);
    assert.deepEqual((await rig.line()).tokens, INPUT_9_OUTPUT_12);
  });

  it('takes usage from where Groq puts it, and still passes on the chunk that follows', async (t) => {
    const rig = await startRig(t);
    const gate = new Gate();
    const last = {
      ...(FINISH as object),
      x_groq: { id: 'req_1', usage: { prompt_tokens: 9, completion_tokens: 12 } },
    };
    rig.upstream.enqueue(stream([...CONTENT, last, pauseUntil(gate), usage()]));
    const reader = await rig.stream(WANTS_USAGE);
    await reader.until('x_groq');
    await turns();
    gate.open();
    const received = await assertWhole(rig, reader);
    assert.deepEqual(received.chunks.at(-1)?.choices, []);
    assert.deepEqual((await rig.line()).tokens, INPUT_9_OUTPUT_12);
  });

  it('takes the last word where usage is counted up in every chunk', async (t) => {
    const rig = await startRig(t);
    const gate = new Gate();
    const counted = (event: object, tokens: number) => ({
      ...event,
      usage: { prompt_tokens: 9, completion_tokens: tokens },
    });
    rig.upstream.enqueue(
      stream([counted(ROLE, 0), counted(text('Hello'), 5), counted(FINISH, 5), pauseUntil(gate), usage()]),
    );
    const reader = await rig.stream(WANTS_USAGE);
    await reader.until('"finish_reason":"stop"');
    await turns();
    gate.open();
    const received = await assertWhole(rig, reader);
    assert.equal(received.chunks.at(-1)?.usage?.completion_tokens, 12);
    assert.deepEqual((await rig.line()).tokens, INPUT_9_OUTPUT_12);
  });

  it('is not cut short where a host says finish with every chunk', async (t) => {
    const rig = await startRig(t);
    const gate = new Gate();
    const pieces = ['H', 'e', 'l', 'l', 'o'].map((content) => {
      const { choices, ...rest } = text(content) as { choices: object[] };
      return { ...rest, choices: choices.map((choice) => ({ ...choice, finish_reason: 'stop' })) };
    });
    rig.upstream.enqueue(stream(pieces.flatMap((piece) => [piece, pauseUntil(gate)])));
    const reader = await rig.stream();
    for (let piece = 1; piece <= 5; piece++) {
      await gate.reached(piece);
      await turns();
      rig.clock.advance(800);
      gate.step();
    }
    await assertWhole(rig, reader);
  });

  it('does not take a finish reason of "" for a finish', async (t) => {
    const rig = await startRig(t);
    const piece = (content: string) => {
      const { choices, ...rest } = text(content) as { choices: object[] };
      return { ...rest, choices: choices.map((choice) => ({ ...choice, finish_reason: '' })) };
    };
    rig.upstream.enqueue(stream([ROLE, piece('Hel'), piece('lo'), close()]));
    const received = readEvents(await (await rig.stream()).rest());
    assert.equal(received.content, 'Hello');
    assert.equal(received.error?.code, 'stream_interrupted');
  });

  it('keeps its socket for the next request', async (t) => {
    const rig = await startRig(t);
    for (let request = 1; request <= 3; request++) {
      await (await rig.stream()).rest();
      await rig.nothingLeft();
    }
    assert.equal(rig.upstream.connections, 1);
  });
});
