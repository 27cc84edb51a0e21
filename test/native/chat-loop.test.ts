import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import OpenAI from 'openai';
import type { ChatCompletionMessage, ChatCompletionMessageParam } from 'openai/resources/chat/completions';
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
  function: { name, description, parameters: schema },
}));

/** What matters of the three turns, whoever answered them. */
interface Transcript {
  turns: { calls: { name: string; arguments: unknown }[]; finish: string; text: string | null }[];
  targets: (string | null)[];
}

const EXPECTED: Transcript['turns'] = [
  { calls: FIRST_CALLS, finish: 'tool_calls', text: null },
  { calls: [SECOND_CALL], finish: 'tool_calls', text: null },
  { calls: [], finish: 'stop', text: ANSWER },
];

interface Way {
  stream: boolean;
  /** The client keeps only what OpenAI's own messages have. */
  forgetful: boolean;
}

async function converse({ gateway }: Loop, model: string, { stream, forgetful }: Way): Promise<Transcript> {
  const client = new OpenAI({ baseURL: gateway.url, apiKey: 'unused', maxRetries: 0 });
  const messages: ChatCompletionMessageParam[] = [
    { role: 'system', content: 'You help people to have dinner.' },
    { role: 'user', content: QUESTION },
  ];
  const transcript: Transcript = { turns: [], targets: [] };
  for (let turn = 0; turn < 3; turn++) {
    const asked = { model, messages, tools, reasoning_effort: 'high' as const };
    const { message, finish } = stream ? await streamed(client, asked) : await whole(client, asked);
    const calls = (message.tool_calls ?? []).map((call) => {
      assert.ok(call.type === 'function');
      return { id: call.id, name: call.function.name, arguments: JSON.parse(call.function.arguments) };
    });
    transcript.turns.push({
      calls: calls.map(({ name, arguments: args }) => ({ name, arguments: args })),
      finish,
      text: message.content === '' ? null : message.content,
    });
    assert.equal(new Set(calls.map(({ id }) => id)).size, calls.length, 'each call has its own id');
    messages.push(forgetful ? bare(message) : message);
    for (const { id, name, arguments: args } of calls) {
      messages.push({ role: 'tool', tool_call_id: id, content: runTool(name, args) });
    }
  }
  const lines = await gateway.ended(3);
  transcript.targets = lines.slice(-3).map(({ target }) => target);
  for (const line of lines.slice(-3)) {
    assert.equal(line.outcome, 'ok', JSON.stringify(line));
    assert.equal(line.tokens?.input, 40, 'the provider’s own count');
    assert.ok((line.tokens?.output ?? 0) >= 12);
  }
  return transcript;
}

type Asked = Omit<OpenAI.ChatCompletionCreateParamsNonStreaming, 'stream'>;
type Turn = { message: ChatCompletionMessage; finish: string };

async function whole(client: OpenAI, asked: Asked): Promise<Turn> {
  const { choices } = await client.chat.completions.create(asked);
  assert.ok(choices[0] !== undefined);
  return { message: choices[0].message, finish: choices[0].finish_reason };
}

async function streamed(client: OpenAI, asked: Asked): Promise<Turn> {
  const stream = client.chat.completions.stream({ ...asked, stream_options: { include_usage: true } });
  const { choices } = await stream.finalChatCompletion();
  assert.ok(choices[0] !== undefined);
  return { message: choices[0].message, finish: choices[0].finish_reason };
}

function bare({ role, content, tool_calls: calls }: ChatCompletionMessage): ChatCompletionMessageParam {
  if (calls === undefined || calls.length === 0) return { role, content };
  const known = calls.map((call) => {
    assert.ok(call.type === 'function');
    const { name, arguments: args } = call.function;
    return { id: call.id, type: call.type, function: { name, arguments: args } };
  });
  return { role, content, tool_calls: known };
}

const WAYS: Readonly<Record<string, Way>> = {
  whole: { stream: false, forgetful: false },
  streamed: { stream: true, forgetful: false },
  'whole, by a client that keeps nothing but the standard': { stream: false, forgetful: true },
  'streamed, by a client that keeps nothing but the standard': { stream: true, forgetful: true },
};

describe('a loop of three turns with tools and reasoning is the same conversation', () => {
  for (const adapter of ADAPTERS) {
    for (const [how, way] of Object.entries(WAYS)) {
      it(`with ${adapter}, ${how}`, async (t) => {
        const loop = await startLoop(t);
        const { turns } = await converse(loop, adapter, way);
        assert.deepEqual(turns, EXPECTED);
      });
    }
  }
});

describe('a loop goes on with another provider where the first one dies in its middle', () => {
  for (const adapter of ADAPTERS) {
    it(`from ${adapter} to each of the others`, async (t) => {
      const loop = await startLoop(t);
      for (const other of ADAPTERS) {
        for (const stream of [false, true]) {
          const before = loop.gateway.requests.length;
          const { turns } = await converse(loop, `${adapter}-then-${other}`, { stream, forgetful: false });
          assert.deepEqual(turns, EXPECTED, `${adapter} to ${other}`);
          const lines = loop.gateway.requests.slice(before);
          assert.deepEqual(
            lines.map(({ target }) => target?.split('/')[0]),
            [adapter, other, other],
          );
        }
      }
    });
  }
});

describe('what a provider signed', () => {
  // Of the mock server's dialects, only this one signs.
  for (const forgetful of [false, true]) {
    it(`comes back to it with its tools' results${forgetful ? ', though the client lost it' : ''}`, async (t) => {
      const loop = await startLoop(t);
      await converse(loop, 'anthropic', { stream: true, forgetful });
      const [, second] = loop.sent();
      const body = second?.body ?? '';
      assert.ok(body.includes('c2lnbmVkLTE=') && body.includes(THOUGHTS[0] as string), body);
    });
  }
});
