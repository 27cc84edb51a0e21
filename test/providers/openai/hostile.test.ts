import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import type { JsonObject } from '../../../src/core/json.ts';
import { Unsupported } from '../../../src/providers/adapter.ts';
import { ChunkReader } from '../../../src/providers/openai/chunk.ts';
import { ResponsesReader } from '../../../src/providers/openai/responses-reader.ts';
import { HOST_PRESETS, type HostName } from '../../../src/providers/presets.ts';
import { FACTS, prepare, textOf } from './helpers.ts';

/** Any JSON, often with the names that are looked at. */
const names = fc.constantFrom(
  ...[
    'messages',
    'role',
    'content',
    'type',
    'tools',
    'tool_calls',
    'tool_choice',
    'function',
    'name',
    'reasoning_content',
  ],
  ...[
    'thinking_blocks',
    'extra_content',
    'cache_control',
    'refusal',
    'response',
    'item',
    'output_index',
    'delta',
    'usage',
  ],
  ...[
    'choices',
    'data',
    'output',
    'error',
    '__proto__',
    'constructor',
    'max_tokens',
    'n',
    'reasoning',
    'effort',
    'model',
  ],
);
const words = fc.constantFrom(
  ...[
    'assistant',
    'developer',
    'function',
    'response.completed',
    'response.output_item.added',
    'error',
    'low',
    'text',
  ],
  ...['response.output_text.delta', 'required', 'image_url', ''],
);
const { json } = fc.letrec((tie) => ({
  json: fc.oneof(
    { maxDepth: 6, withCrossShrink: true },
    fc.constantFrom(null, true, 0, 1, -1, 1e300, 1e-300),
    words,
    fc.array(tie('json'), { maxLength: 4 }),
    fc.array(fc.tuple(names, tie('json')), { maxLength: 5 }).map((members) => Object.fromEntries(members)),
  ),
}));
const object = fc
  .array(fc.tuple(names, json), { maxLength: 6 })
  .map((members) => Object.fromEntries(members) as JsonObject);

const REFUSING = {
  refuses: new Set(['n', 'temperature', 'reasoning']),
  efforts: ['low'] as const,
  forcedTools: false,
  jsonSchema: false,
  input: new Set<'image'>(),
  maxCompletionTokens: true,
  toolsOnlyAtNoEffort: true,
};

describe('whatever a client sends', () => {
  it('is put into the words of a host, or is what the host cannot take', () => {
    const adapters = Object.keys(HOST_PRESETS) as HostName[];
    const dialects = ['chat', 'responses', 'embeddings'] as const;
    fc.assert(
      fc.property(
        object,
        object,
        fc.constantFrom(...adapters),
        fc.constantFrom(...dialects),
        fc.boolean(),
        (body, overrideParams, adapter, dialect, strict) => {
          const before = JSON.stringify(body);
          const options = { adapter, dialect, overrideParams, strict, capabilities: REFUSING };
          try {
            const sent = JSON.parse(textOf(prepare(body, options))) as JsonObject;
            assert.equal(sent['model'], 'up');
          } catch (error) {
            assert.ok(error instanceof Unsupported, String(error));
          }
          assert.equal(JSON.stringify(body), before);
        },
      ),
      { numRuns: 5000 },
    );
  });
});

describe('whatever an upstream sends', () => {
  it('is read without harm', () => {
    fc.assert(
      fc.property(
        fc.array(fc.oneof(json, object), { maxLength: 6 }),
        fc.constantFrom('', 'error', 'ping'),
        (events, type) => {
          for (const reader of [new ChunkReader(1), new ResponsesReader()]) {
            for (const event of events) {
              reader.read(JSON.stringify(event), type);
              const { characters, reasoning } = reader.output;
              assert.ok(characters >= reasoning && reasoning >= 0);
              if (reader.usage !== null)
                assert.ok(Number.isSafeInteger(reader.usage.input + reader.usage.output));
            }
          }
          for (const dialect of ['chat', 'responses', 'embeddings'] as const) {
            const reader = prepare({}, { dialect }).answer(FACTS);
            for (const event of events) {
              if (event === null || typeof event !== 'object' || Array.isArray(event)) continue;
              const read = reader.plain(event as JsonObject, Buffer.alloc(0), {});
              if (read.kind === 'answer') assert.ok(read.output().characters >= 0);
            }
          }
        },
      ),
      { numRuns: 3000 },
    );
  });

  it('may be nested as deep as it can be parsed', () => {
    const deep = `${'{"delta":'.repeat(3000)}1${'}'.repeat(3000)}`;
    for (const reader of [new ChunkReader(1), new ResponsesReader()]) {
      for (const text of [
        deep,
        `{"type":"response.x.delta","delta":${deep}}`,
        `{"choices":[{"delta":${deep}}]}`,
      ]) {
        reader.read(text, '');
      }
    }
  });
});
