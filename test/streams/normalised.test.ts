import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { delta, FINISH, ROLE, readEvents, startRig, text } from '../support/rig.ts';
import { stream } from '../support/upstream.ts';

const json = (event: object) => JSON.stringify(event);
const pretty = (event: object) =>
  JSON.stringify(event, null, 2)
    .split('\n')
    .map((line) => `data: ${line}`)
    .join('\n');
const cr = (event: string) => Buffer.from(`${event}\r\r`);

/** Ways to write the same event. */
const WRITTEN: Record<string, (event: object) => string | Uint8Array> = {
  'as usual': (event) => `data: ${json(event)}`,
  'without the space': (event) => `data:${json(event)}`,
  'with two spaces': (event) => `data:  ${json(event)} `,
  'with an id': (event) => `id: 17\ndata: ${json(event)}`,
  'with a retry time': (event) => `data: ${json(event)}\nretry: 3000`,
  'with a name': (event) => `event: completion.chunk\ndata: ${json(event)}`,
  'with a field nobody knows': (event) => `meta: x\ndata: ${json(event)}`,
  'with a comment inside': (event) => `: hello\ndata: ${json(event)}\n: bye`,
  'over several data lines': pretty,
  'with tabs': (event) => `data: ${JSON.stringify(event, null, '\t').replaceAll('\n', '')}`,
  'with CR for line ends': (event) => cr(`data: ${json(event)}`),
  'with CRLF for line ends': (event) => Buffer.from(`data: ${json(event)}\r\n\r\n`),
  'with mixed line ends': (event) => Buffer.from(`id: 1\rdata: ${json(event)}\r\n\n`),
  'with three blank lines': (event) => `data: ${json(event)}\n\n\n`,
  'with escapes': (event) => `data: ${json(event).replaceAll('o', '\\u006f')}`,
};

describe('what the client receives is well-formed', () => {
  for (const [name, write] of Object.entries(WRITTEN)) {
    for (const firstBytes of ['', '\uFEFF']) {
      it(`where events come ${name}${firstBytes === '' ? '' : ', after a byte order mark'}`, async (t) => {
        const rig = await startRig(t);
        const events = [ROLE, text('Hello'), text(' to ö, 🙂 and \u2028'), FINISH];
        rig.upstream.enqueue(stream([Buffer.from(firstBytes), ...events.map(write)]));
        const reader = await rig.stream();
        const received = readEvents(await reader.rest());
        assert.deepEqual(received.chunks, events);
        assert.equal(received.done, true);
        assert.equal(received.comments, 0);
      });
    }
  }

  it('where an upstream sends ids, retry times and comments alone', async (t) => {
    const rig = await startRig(t);
    rig.upstream.enqueue(
      stream([
        'id: 1',
        'retry: 10',
        ROLE,
        'id: 2',
        ': x',
        text('Hi'),
        'retry: 5',
        'event: x',
        FINISH,
        'id: 3',
      ]),
    );
    const reader = await rig.stream();
    const expected = [ROLE, text('Hi'), FINISH].map((event) => `data: ${json(event)}\n\n`).join('');
    assert.equal(await reader.rest(), `${expected}data: [DONE]\n\n`);
  });

  it('where bytes are no UTF-8', async (t) => {
    const rig = await startRig(t);
    const [before = '', after = ''] = `data: ${json(text('A|B'))}\n\n`.split('|');
    const bytes = Buffer.concat([Buffer.from(before), Buffer.from([0xff, 0xc3]), Buffer.from(after)]);
    rig.upstream.enqueue(stream([ROLE, bytes, FINISH]));
    const response = await rig.gateway.chat({ stream: true });
    const received = new TextDecoder('utf-8', { fatal: true }).decode(await response.arrayBuffer());
    assert.equal(readEvents(received).content, 'A\uFFFD\uFFFDB');
  });

  it('where an upstream goes on after its end mark', async (t) => {
    const rig = await startRig(t);
    rig.upstream.enqueue(stream([ROLE, text('Hi'), FINISH, 'data: [DONE]', text('more'), 'data: [DONE]']));
    const received = readEvents(await (await rig.stream()).rest());
    assert.equal(received.content, 'Hi');
    await rig.nothingLeft();
  });

  const choice = (fields: object) => ({ ...(text('') as object), choices: [fields] });
  for (const [name, event] of Object.entries({
    'the delta is left out': choice({ index: 0, finish_reason: 'stop' }),
    'the delta is null': choice({ index: 0, delta: null, finish_reason: 'stop' }),
    'the index is left out': choice({ delta: {}, finish_reason: 'stop' }),
  })) {
    it(`where ${name}`, async (t) => {
      const rig = await startRig(t);
      rig.upstream.enqueue(stream([ROLE, text('Hi'), event]));
      const received = readEvents(await (await rig.stream()).rest());
      assert.equal(received.done, true);
      assert.deepEqual(received.chunks.at(-1)?.choices, [{ delta: {}, index: 0, finish_reason: 'stop' }]);
    });
  }

  it('where the chunk with usage has no choices at all', async (t) => {
    const rig = await startRig(t);
    const last = {
      id: 'x',
      object: 'chat.completion.chunk',
      usage: { prompt_tokens: 3, completion_tokens: 4 },
    };
    rig.upstream.enqueue(stream([ROLE, text('Hi'), FINISH, last]));
    const reader = await rig.stream({ stream_options: { include_usage: true } });
    const received = readEvents(await reader.rest());
    assert.deepEqual(received.chunks.at(-1)?.choices, []);
    assert.deepEqual((await rig.line()).tokens, { input: 3, output: 4, cached: 0, reasoning: 0 });
  });

  for (const error of [null, '', false, 0]) {
    it(`though a chunk has an error of ${JSON.stringify(error)}, which is none`, async (t) => {
      const rig = await startRig(t);
      const marked = [ROLE, text('Hi'), FINISH].map((event) => ({ ...event, error, x_groq: { error } }));
      rig.upstream.enqueue(stream(marked));
      const answer = await (await rig.stream()).rest();
      assert.ok(answer.endsWith('data: [DONE]\n\n'));
      assert.ok(answer.includes('"content":"Hi"'));
    });
  }

  it('with what hosts add left as it is', async (t) => {
    const rig = await startRig(t);
    const odd = {
      ...(delta({ content: 'Hi', reasoning_details: [{ text: 'x' }] }) as object),
      obfuscation: 'aX',
      service_tier: 'default',
      system_fingerprint: null,
      provider: 'Somebody',
    };
    const line = `data: ${json(odd).replace('"created":1795219200', '"created":1795219200.0,"n":1e400')}\n\n`;
    rig.upstream.enqueue(stream([ROLE, Buffer.from(line), FINISH]));
    const reader = await rig.stream();
    assert.ok((await reader.rest()).includes(line));
  });

  it('under headers of our own', async (t) => {
    const rig = await startRig(t);
    rig.upstream.enqueue(stream([ROLE, text('Hi'), FINISH], { headers: { 'cache-control': 'max-age=60' } }));
    const reader = await rig.stream();
    const { response } = reader;
    assert.match(response.headers.get('content-type') ?? '', /^text\/event-stream(;|$)/);
    assert.equal(response.headers.get('cache-control'), 'no-cache');
    assert.equal(response.headers.get('x-accel-buffering'), 'no');
    assert.equal(response.headers.get('x-spillway-target'), 'a/up');
    assert.equal(response.headers.get('x-spillway-attempts'), '1');
    assert.ok(response.headers.get('x-request-id'));
    await reader.rest();
  });
});
