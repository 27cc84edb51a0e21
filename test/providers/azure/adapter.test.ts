import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { azure } from '../../../src/providers/azure/adapter.ts';
import type { EventReader } from '../../../src/providers/event-reader.ts';
import { readInBandError } from '../../../src/providers/failure.ts';
import { SseDecoder } from '../../../src/sse/decoder.ts';
import { type AskOptions, FACTS, HELLO, PROVIDER, prepare, sent } from '../openai/helpers.ts';
import { ASYNC_FILTER, CALLS, FILTER_ERROR, FILTERED, PROMPT_FILTER, TEXT, USAGE, wire } from './recorded.ts';

const CLASSIC = { apiVersion: '2025-04-01-preview' };
const DEPLOYMENTS = { deployments: { 'gpt-6-sol': 'my deployment/1' } };

function call(options: AskOptions = {}) {
  return prepare({ model: 'smart', messages: HELLO }, { adapter: azure, model: 'gpt-6-sol', ...options });
}

describe('Azure is called', () => {
  it('at its resource, by the v1 API or with a version by the classic one', () => {
    assert.equal(azure.baseUrl({ ...PROVIDER, resource: 'res' }), 'https://res.openai.azure.com/openai/v1');
    assert.equal(
      azure.baseUrl({ ...PROVIDER, ...CLASSIC, resource: 'res' }),
      'https://res.openai.azure.com/openai',
    );
    assert.match(azure.baseUrl(PROVIDER), /^missing.*resource/);
  });

  it("by the deployment's name, or the model's own", () => {
    const paths = (provider: AskOptions['provider']) =>
      (['chat', 'responses', 'embeddings'] as const).map(
        (dialect) => call({ dialect, ...(provider && { provider }) }).path,
      );
    assert.deepEqual(paths(DEPLOYMENTS), ['/chat/completions', '/responses', '/embeddings']);
    const version = '?api-version=2025-04-01-preview';
    assert.deepEqual(paths(CLASSIC), [
      `/deployments/gpt-6-sol/chat/completions${version}`,
      `/responses${version}`,
      `/deployments/gpt-6-sol/embeddings${version}`,
    ]);
    assert.deepEqual(paths({ ...CLASSIC, ...DEPLOYMENTS }), [
      `/deployments/my%20deployment%2F1/chat/completions${version}`,
      `/responses${version}`,
      `/deployments/my%20deployment%2F1/embeddings${version}`,
    ]);
    for (const dialect of ['chat', 'responses', 'embeddings'] as const) {
      const body = (provider: object) =>
        sent(
          { model: 'smart', input: 'x', messages: HELLO },
          { adapter: azure, model: 'gpt-6-sol', dialect, provider },
        ).body;
      assert.equal(body({})['model'], 'gpt-6-sol');
      assert.equal(body(DEPLOYMENTS)['model'], 'my deployment/1');
    }
    const odd = call({ model: 'constructor', provider: CLASSIC });
    assert.match(odd.path, /^\/deployments\/constructor\//);
  });

  it('with a key in a header of its own, or as who one is', () => {
    assert.deepEqual(azure.keyHeaders('k'), { 'api-key': 'k' });
    assert.deepEqual([azure.needsKey, azure.identity], ['optional', 'entra']);
    assert.deepEqual([...azure.speaks].sort(), ['chat', 'embeddings', 'responses']);
  });

  it("with a body that OpenAI's models take", () => {
    const { body, dropped } = sent(
      {
        model: 'smart',
        messages: [
          { role: 'developer', content: 'x' },
          { role: 'assistant', content: 'y', reasoning_content: 'z' },
        ],
        max_tokens: 5,
        temperature: 0,
        stream: true,
      },
      {
        adapter: azure,
        streaming: true,
        capabilities: { refuses: new Set(['temperature']), maxCompletionTokens: true },
        ...{ provider: DEPLOYMENTS, model: 'gpt-6-sol' },
      },
    );
    assert.deepEqual(body, {
      model: 'my deployment/1',
      messages: [
        { role: 'developer', content: 'x' },
        { role: 'assistant', content: 'y' },
      ],
      stream: true,
      stream_options: { include_usage: true },
      max_completion_tokens: 5,
    });
    assert.deepEqual(dropped, ['temperature']);
  });
});

interface Seen {
  kinds: string[];
  /** What clients read: the texts and pieces of calls. */
  content: string;
  calls: string[];
  characters: number;
  /** Was a call open after each event? */
  calling: boolean[];
  reader: EventReader;
}

/** Reads the bytes, `split` at one place. */
function read(bytes: Buffer, split = 0): Seen {
  const format = call({ streaming: true }).answer(FACTS).stream({});
  assert.ok(format.kind === 'relayed');
  const { reader } = format;
  const seen: Seen = { kinds: [], content: '', calls: [], characters: 0, calling: [], reader };
  const decoder = new SseDecoder(
    {
      event: (data, type) => {
        seen.kinds.push(reader.read(data, type));
        seen.characters += reader.output.characters;
        seen.calling.push(reader.callingTool);
        const value = reader.mended ?? reader.value;
        const choices = (value?.['choices'] ?? []) as { delta: Record<string, never> }[];
        for (const { delta } of choices) {
          seen.content += delta['content'] ?? '';
          for (const { index, function: made } of (delta['tool_calls'] ?? []) as {
            index: number;
            function: { arguments: string };
          }[])
            seen.calls[index] = (seen.calls[index] ?? '') + made.arguments;
        }
      },
    },
    1e6,
  );
  decoder.push(bytes.subarray(0, split));
  decoder.push(bytes.subarray(split));
  decoder.end();
  return seen;
}

describe("Azure's streams", () => {
  const usage = { input: 75, output: 20, cached: 64, cacheWrite: 0, reasoning: 8 };

  it('begin with a chunk of nothing, which is no news for the client', () => {
    const seen = read(Buffer.from(wire(TEXT)));
    assert.deepEqual(seen.kinds, [
      'ping',
      'quiet',
      'content',
      'quiet',
      'content',
      'content',
      'quiet',
      'usage',
      'done',
    ]);
    assert.equal(seen.content, 'Grüße aus Ulm.');
    assert.equal(seen.characters, Buffer.byteLength('Grüße aus Ulm.'));
    assert.equal(seen.reader.model, 'gpt-6-sol-2026-09-01');
    assert.deepEqual([seen.reader.usage, seen.reader.finished], [usage, true]);
  });

  it('may begin with one that has an id', () => {
    const { kinds } = read(Buffer.from(wire([{ ...PROMPT_FILTER, id: 'chatcmpl-1' }])));
    assert.deepEqual(kinds, ['quiet', 'done']);
  });

  it('have chunks of the filter alone, which get the delta that clients read', () => {
    const format = call().answer(FACTS).stream({});
    assert.ok(format.kind === 'relayed');
    const { reader } = format;
    assert.equal(reader.read(JSON.stringify(ASYNC_FILTER), ''), 'quiet');
    assert.deepEqual(reader.mended, {
      ...ASYNC_FILTER,
      choices: [{ ...ASYNC_FILTER.choices[0], delta: {} }],
    });
    assert.equal(reader.model, null);
  });

  it('keep their calls whole, with a filter in between', () => {
    const seen = read(Buffer.from(wire(CALLS)));
    assert.deepEqual(seen.calls, ['{"city":"Ulm"}', '{}']);
    assert.deepEqual(seen.calling, [false, true, true, true, true, true, true, false, false, false]);
    assert.deepEqual([seen.reader.usage, seen.reader.finished], [usage, true]);
  });

  it('end where the filter stops them: as a finish, or as an error', () => {
    const finished = read(Buffer.from(wire(FILTERED)));
    assert.equal(finished.reader.finished, true);
    const failed = read(Buffer.from(wire(FILTER_ERROR)));
    assert.deepEqual(failed.kinds, ['ping', 'content', 'error', 'done']);
    assert.equal(failed.reader.finished, false);
    const failure = readInBandError(failed.reader.error ?? {}, (text) => text);
    assert.deepEqual([failure.kind, failure.status], ['content_filtered', 400]);
  });

  it('are read alike wherever they are split', () => {
    for (const events of [TEXT, CALLS, FILTERED, FILTER_ERROR]) {
      const bytes = Buffer.from(wire(events));
      const { reader: _, ...whole } = read(bytes);
      for (let split = 1; split < bytes.length; split++) {
        const { reader: __, ...seen } = read(bytes, split);
        assert.deepEqual(seen, whole, `split at ${split}`);
      }
    }
  });

  it('tell their usage once, last', () => {
    assert.deepEqual(read(Buffer.from(wire([USAGE]))).kinds, ['usage', 'done']);
  });
});

describe("Azure's plain answers", () => {
  it('are passed on with what the filters say', () => {
    const value = {
      choices: [
        {
          content_filter_results: {},
          finish_reason: 'stop',
          index: 0,
          message: { content: 'Hi', role: 'assistant' },
        },
      ],
      prompt_filter_results: PROMPT_FILTER.prompt_filter_results,
      usage: USAGE.usage,
    };
    const bytes = Buffer.from(JSON.stringify(value));
    const read = call().answer(FACTS).plain(value, bytes, {});
    assert.ok(read.kind === 'answer');
    assert.equal(read.body, bytes);
    assert.equal(read.usage?.cached, 64);
  });
});
