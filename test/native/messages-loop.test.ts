import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import Anthropic from '@anthropic-ai/sdk';
import {
  ADAPTERS,
  ANSWER,
  FIRST_CALLS,
  type Loop,
  QUESTION,
  runTool,
  SECOND_CALL,
  startLoop,
  THOUGHTS,
  TOOLS,
} from './loop.ts';

const tools = TOOLS.map(({ name, description, schema }) => ({ name, description, input_schema: schema }));

interface Turn {
  calls: { name: string; arguments: unknown }[];
  stop: string | null;
  text: string;
}

const EXPECTED: Turn[] = [
  { calls: FIRST_CALLS, stop: 'tool_use', text: '' },
  { calls: [SECOND_CALL], stop: 'tool_use', text: '' },
  { calls: [], stop: 'end_turn', text: ANSWER },
];

async function converse({ gateway }: Loop, model: string, stream: boolean): Promise<Turn[]> {
  const client = new Anthropic({ baseURL: gateway.origin, apiKey: 'unused', maxRetries: 0 });
  const messages: Anthropic.MessageParam[] = [{ role: 'user', content: QUESTION }];
  const turns: Turn[] = [];
  for (let turn = 0; turn < 3; turn++) {
    const asked = {
      model,
      max_tokens: 2000,
      system: 'You help people to have dinner.',
      messages,
      tools,
      thinking: { type: 'adaptive' as const },
      output_config: { effort: 'high' as const },
    };
    const message = stream
      ? await client.messages.stream(asked).finalMessage()
      : await client.messages.create(asked);
    const calls = message.content.filter((block) => block.type === 'tool_use');
    turns.push({
      calls: calls.map(({ name, input }) => ({ name, arguments: input })),
      stop: message.stop_reason,
      text: message.content.map((block) => (block.type === 'text' ? block.text : '')).join(''),
    });
    const { usage } = message;
    assert.equal(usage.input_tokens + (usage.cache_read_input_tokens ?? 0), 40, 'the provider’s own count');
    messages.push({ role: 'assistant', content: message.content });
    messages.push({
      role: 'user',
      content: calls.map(({ id, name, input }) => ({
        type: 'tool_result' as const,
        tool_use_id: id,
        content: runTool(name, input as { city?: unknown }),
      })),
    });
    if (calls.length === 0) break;
  }
  return turns;
}

describe('a client of Anthropic’s has the same loop', () => {
  for (const adapter of ADAPTERS) {
    for (const stream of [false, true]) {
      it(`with ${adapter}, ${stream ? 'streamed' : 'whole'}`, async (t) => {
        const loop = await startLoop(t);
        assert.deepEqual(await converse(loop, adapter, stream), EXPECTED);
        for (const line of await loop.gateway.ended(3)) assert.equal(line.outcome, 'ok');
      });
    }
  }
});

describe('and goes on with another provider in its middle', () => {
  for (const adapter of ADAPTERS) {
    it(`from ${adapter} to each of the others`, async (t) => {
      const loop = await startLoop(t);
      for (const other of ADAPTERS) {
        const before = loop.gateway.requests.length;
        assert.deepEqual(await converse(loop, `${adapter}-then-${other}`, true), EXPECTED, other);
        const lines = loop.gateway.requests.slice(before);
        assert.deepEqual(
          lines.map(({ target }) => target?.split('/')[0]),
          [adapter, other, other],
        );
      }
    });
  }
});

describe('signed thoughts', () => {
  it('go to the client as blocks, and back to anthropic as they were', async (t) => {
    const loop = await startLoop(t);
    await converse(loop, 'anthropic', true);
    const [, second] = loop.sent();
    const body = second?.body ?? '';
    assert.ok(body.includes('c2lnbmVkLTE=') && body.includes(THOUGHTS[0] as string), body.slice(0, 2000));
  });
});

describe('the questions of such a client', () => {
  it('about tokens are answered for every target', async (t) => {
    const loop = await startLoop(t);
    const client = new Anthropic({ baseURL: loop.gateway.origin, apiKey: 'unused', maxRetries: 0 });
    const { input_tokens: tokens } = await client.messages.countTokens({
      model: 'openai',
      messages: [{ role: 'user', content: 'word '.repeat(100) }],
    });
    assert.ok(tokens > 80 && tokens < 300, String(tokens));
  });

  it('that are refused are refused in its own words', async (t) => {
    const loop = await startLoop(t);
    const client = new Anthropic({ baseURL: loop.gateway.origin, apiKey: 'unused', maxRetries: 0 });
    await assert.rejects(
      client.messages.create({
        model: 'nothing',
        max_tokens: 5,
        messages: [{ role: 'user', content: 'hi' }],
      }),
      (error) => {
        assert.ok(error instanceof Anthropic.NotFoundError);
        assert.equal((error.error as { error: { type: string } }).error.type, 'not_found_error');
        assert.match(error.requestID ?? '', /./);
        return true;
      },
    );
  });
});
