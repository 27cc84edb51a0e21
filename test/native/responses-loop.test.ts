import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import OpenAI from 'openai';
import type { ResponseInput, ResponseInputItem } from 'openai/resources/responses/responses';
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

const tools = TOOLS.map(({ name, description, schema }) => ({
  type: 'function' as const,
  name,
  description,
  parameters: schema,
  strict: true,
}));

interface Turn {
  calls: { name: string; arguments: unknown }[];
  status: string | undefined;
  text: string;
}

const EXPECTED: Turn[] = [
  { calls: FIRST_CALLS, status: 'completed', text: '' },
  { calls: [SECOND_CALL], status: 'completed', text: '' },
  { calls: [], status: 'completed', text: ANSWER },
];

async function converse({ gateway }: Loop, model: string, stream: boolean): Promise<Turn[]> {
  const client = new OpenAI({ baseURL: gateway.url, apiKey: 'unused', maxRetries: 0 });
  const input: ResponseInput = [{ role: 'user', content: QUESTION }];
  const turns: Turn[] = [];
  for (let turn = 0; turn < 3; turn++) {
    const asked = {
      model,
      instructions: 'You help people to have dinner.',
      input,
      tools,
      reasoning: { effort: 'high' as const },
      include: ['reasoning.encrypted_content' as const],
      store: false,
    };
    const response = stream
      ? await client.responses.stream(asked).finalResponse()
      : await client.responses.create(asked);
    const calls = response.output.flatMap((item) => (item.type === 'function_call' ? [item] : []));
    turns.push({
      calls: calls.map(({ name, arguments: args }) => ({ name, arguments: JSON.parse(args) })),
      status: response.status,
      text: response.output_text,
    });
    input.push(...(response.output as ResponseInputItem[]));
    for (const { call_id: id, name, arguments: args } of calls) {
      input.push({ type: 'function_call_output', call_id: id, output: runTool(name, JSON.parse(args)) });
    }
  }
  return turns;
}

describe('a client of the responses API has the same loop', () => {
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
  it('travel in reasoning items, and go back to anthropic as they were', async (t) => {
    const loop = await startLoop(t);
    await converse(loop, 'anthropic', true);
    const [, second] = loop.sent();
    const body = second?.body ?? '';
    assert.ok(body.includes('c2lnbmVkLTE=') && body.includes(THOUGHTS[0] as string), body.slice(0, 2000));
  });
});
