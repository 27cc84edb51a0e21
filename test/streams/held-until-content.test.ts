import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { RawClient } from '../support/raw-http.ts';
import { chatRequest, delta, FINISH, ROLE, readEvents, startRig, text, turns } from '../support/rig.ts';
import { Gate, pauseUntil, type StreamItem, stream } from '../support/upstream.ts';

/** What comes first, and brings the client nothing yet. */
const NO_CONTENT: Record<string, StreamItem> = {
  'a role': ROLE,
  'an empty delta': delta({}),
  'empty text': delta({ content: '' }),
  'text, reasoning and refusal of null': delta({ content: null, reasoning_content: null, refusal: null }),
  'an empty list of tool calls': delta({ tool_calls: [] }),
  'a comment': ': OPENROUTER PROCESSING',
  'a ping event': 'event: ping\ndata: {"type":"ping"}',
  'an event with empty data': 'data:',
  'a chunk without choices': { ...(ROLE as object), choices: [] },
  'a finish reason of ""': delta({ role: 'assistant' }, ''),
  'usage of zero on a chunk': { ...(ROLE as object), usage: { prompt_tokens: 9, completion_tokens: 0 } },
};

/** What is content. */
const CONTENT: Record<string, object> = {
  text: text('H'),
  'a space': text(' '),
  'the start of a tool call': delta({
    tool_calls: [{ index: 0, id: 'call_1', type: 'function', function: { name: 'f', arguments: '' } }],
  }),
  'the start of a tool call with a piece of it': delta({
    tool_calls: [{ index: 0, id: 'call_1', type: 'function', function: { name: 'f', arguments: '{' } }],
  }),
  'a function call of before 2024': delta({ function_call: { name: 'f', arguments: '' } }),
  'reasoning_content, as DeepSeek has it': delta({ reasoning_content: 'Hm' }),
  'reasoning, as Groq has it': delta({ reasoning: 'Hm' }),
  'a refusal': delta({ refusal: 'I will not' }),
  audio: delta({ audio: { id: 'audio_1' } }),
  'a finish': FINISH,
};

describe('nothing is sent before the first content', () => {
  for (const [name, item] of Object.entries(NO_CONTENT)) {
    it(`${name} is no content`, async (t) => {
      const rig = await startRig(t);
      const gate = new Gate();
      rig.upstream.enqueue(stream([item, pauseUntil(gate), text('Hello'), FINISH]));
      const client = await RawClient.connect(rig.gateway.origin);
      await client.send(chatRequest({ stream: true }));
      await gate.reached();
      await turns();
      assert.equal(client.waiting, 0, 'not even a status');
      gate.open();
      assert.match(await client.waitFor('data: [DONE]\n\n'), /^HTTP\/1.1 200 OK\r\n/);
      client.destroy();
      await rig.nothingLeft();
    });
  }

  for (const [name, item] of Object.entries(CONTENT)) {
    it(`${name} is content`, async (t) => {
      const rig = await startRig(t);
      const gate = new Gate();
      rig.upstream.enqueue(stream([ROLE, item, pauseUntil(gate), FINISH]));
      const reader = await rig.stream();
      const before = `data: ${JSON.stringify(ROLE)}\n\ndata: ${JSON.stringify(item)}\n\n`;
      await reader.until(before);
      assert.equal(reader.text, before, 'what was held comes first, as it was');
      gate.open();
      assert.ok(readEvents(await reader.rest()).done);
      await rig.nothingLeft();
    });
  }

  it('comments before the content put off `idle`, but not `first_token`', async (t) => {
    const rig = await startRig(t, { node: { timeouts: { idle: '10s', first_token: '25s' } } });
    const gate = new Gate();
    const ping = [': ping', pauseUntil(gate)];
    rig.upstream.enqueue(stream([...ping, ...ping, ...ping, ...ping, text('late')]));
    const waiting = rig.gateway.chat({ stream: true });
    for (let pings = 1; pings <= 3; pings++) {
      await gate.reached(pings);
      await turns();
      rig.clock.advance(8_000);
      gate.step();
    }
    await gate.reached(4);
    await turns();
    rig.clock.advance(1_000);
    const response = await waiting;
    assert.equal(response.status, 504);
    const { tries } = await rig.line();
    assert.deepEqual(
      tries.map(({ outcome, ms }) => ({ outcome, ms })),
      [{ outcome: 'timeout', ms: 25_000 }],
    );
    await rig.nothingLeft();
  });

  it('silence before the content is a failure after `idle`', async (t) => {
    const rig = await startRig(t, { node: { timeouts: { idle: '10s', first_token: '25s' } } });
    const gate = new Gate();
    rig.upstream.enqueue(stream([ROLE, pauseUntil(gate), text('late')]));
    const waiting = rig.gateway.chat({ stream: true });
    await gate.reached();
    await turns();
    rig.clock.advance(10_000);
    const response = await waiting;
    assert.equal(response.status, 502);
    assert.equal((await rig.line()).outcome, 'broken_body');
    await rig.nothingLeft();
  });
});
