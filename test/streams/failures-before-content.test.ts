import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { FINISH, interruptions, ROLE, readEvents, startRig, text, turns } from '../support/rig.ts';
import {
  apiError,
  chunk,
  close,
  Gate,
  head,
  htmlPage,
  named,
  pauseUntil,
  plain,
  reset,
  type Script,
  script,
  stream,
  write,
} from '../support/upstream.ts';

const error = (code: string) => ({ error: { message: 'no', type: code, code } });

/** How a stream can fail before its first content, and the outcome that the try has then. */
const FAILURES: Record<string, [how: Script, outcome: string]> = {
  'an error status': [apiError(503), 'overloaded'],
  'a reset before the headers': [script(reset()), 'connection_failed'],
  'a reset after the headers': [stream([reset()]), 'broken_body'],
  'an end without a byte': [stream([], { done: false }), 'broken_body'],
  'an end mark at once': [stream([]), 'broken_body'],
  'a cut after the role': [stream([ROLE, close()]), 'broken_body'],
  'a reset after the role': [stream([ROLE, reset()]), 'broken_body'],
  'an end after the role': [stream([ROLE], { done: false }), 'broken_body'],
  'an end mark after the role': [stream([ROLE]), 'broken_body'],
  'an error as the first event': [stream([error('server_error')]), 'server_error'],
  'an error after the role': [stream([ROLE, error('overloaded_error')]), 'overloaded'],
  'a rate limit as the first event': [stream([error('rate_limit_exceeded')]), 'rate_limited'],
  'an error with a name': [stream([named('error', { message: 'no' })]), 'broken_body'],
  'an error with a name that is no JSON': [
    stream(['event: error\ndata: Internal Server Error']),
    'broken_body',
  ],
  'an error of Groq': [stream([{ ...ROLE, x_groq: { error: 'no' } }]), 'broken_body'],
  'a finish reason of error': [
    stream([{ ...ROLE, choices: [{ index: 0, delta: { content: '' }, finish_reason: 'error' }] }]),
    'broken_body',
  ],
  'an error object as the body': [plain({ json: error('server_error') }), 'server_error'],
  'an error object as the body, called an event stream': [
    plain({ json: error('server_error'), headers: { 'content-type': 'text/event-stream' } }),
    'broken_body',
  ],
  'an HTML page': [htmlPage(200), 'broken_body'],
  'nothing but garbage': [stream(['data: {"choices', 'data: nonsense'], { done: false }), 'broken_body'],
  'an unfinished chunk': [
    script(
      head(200, { 'content-type': 'text/event-stream', 'transfer-encoding': 'chunked' }),
      write(chunk(`data: ${JSON.stringify(ROLE)}\n\n`)),
      write('ff\r\ndata: {"choi'),
      close(),
    ),
    'broken_body',
  ],
  'a broken chunk size': [
    script(
      head(200, { 'content-type': 'text/event-stream', 'transfer-encoding': 'chunked' }),
      write('nonsense\r\n'),
    ),
    'broken_body',
  ],
  'less than its content-length': [
    script(
      head(200, { 'content-type': 'text/event-stream', 'content-length': '5000' }),
      write(`data: ${JSON.stringify(ROLE)}\n\n`),
      close(),
    ),
    'broken_body',
  ],
};

describe('a stream that fails before its first content', () => {
  for (const [name, [how, outcome]] of Object.entries(FAILURES)) {
    it(`is handed over to the next target: ${name}`, async (t) => {
      // Nor is the whole answer asked for where there is no room for a stream.
      const node = { retry: { attempts: 0, budget: { ratio: 0, min_per_second: 0 } } };
      const rig = await startRig(t, { second: true, node });
      rig.upstream.reply(() => how);
      rig.second.enqueue(stream([ROLE, text('from the second'), FINISH]));
      const reader = await rig.stream();
      const received = readEvents(await reader.rest());
      assert.equal(received.content, 'from the second');
      assert.equal(received.done, true);
      assert.equal(reader.response.headers.get('x-spillway-target'), 'b/up');
      assert.equal(reader.response.headers.get('x-spillway-attempts'), '2');
      const line = await rig.line();
      assert.equal(line.outcome, 'ok');
      assert.deepEqual(
        line.tries.map((made) => `${made.target} ${made.outcome}`),
        [`a/up ${outcome}`, 'b/up ok'],
      );
      assert.equal(await interruptions(rig), 0);
      await rig.nothingLeft();
    });
  }

  it('is tried again on the same target', async (t) => {
    const rig = await startRig(t, { node: { retry: { attempts: 2 } } });
    rig.upstream.enqueue(
      stream([ROLE, error('server_error')]),
      stream([ROLE, reset()]),
      stream([ROLE, text('third time'), FINISH]),
    );
    const waiting = rig.stream();
    for (const count of [1, 2]) {
      await rig.upstream.waitFor(count);
      await rig.upstream.requests[count - 1]?.answered;
      await turns();
      rig.clock.advance(8_000);
    }
    const received = readEvents(await (await waiting).rest());
    assert.equal(received.content, 'third time');
    assert.equal(received.chunks.length, 3, 'nothing of the tries before');
    assert.equal((await rig.line()).tries.length, 3);
    await rig.nothingLeft();
  });

  it('is an answer with an error status if nothing is left to try', async (t) => {
    const rig = await startRig(t);
    rig.upstream.enqueue(stream([ROLE, close()]));
    const response = await rig.gateway.chat({ stream: true });
    assert.equal(response.status, 502);
    assert.match(response.headers.get('content-type') ?? '', /^application\/json/);
    const body = (await response.json()) as { error: { code: string } };
    assert.equal(body.error.code, 'upstream_error');
    assert.equal(await interruptions(rig), 0);
    await rig.nothingLeft();
  });

  it('is over in `first_token` however much comes that is no content', async (t) => {
    const rig = await startRig(t, { second: true, node: { timeouts: { first_token: '20s' } } });
    const gate = new Gate();
    rig.upstream.enqueue(stream([ROLE, ': ping', pauseUntil(gate), text('late')]));
    const waiting = rig.stream();
    await gate.reached();
    await turns();
    rig.clock.advance(20_000);
    const reader = await waiting;
    assert.equal(readEvents(await reader.rest()).done, true);
    assert.deepEqual(
      (await rig.line()).tries.map(({ outcome }) => outcome),
      ['timeout', 'ok'],
    );
    await rig.nothingLeft();
  });
});
