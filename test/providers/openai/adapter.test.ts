import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { JsonObject } from '../../../src/core/json.ts';
import { Unsupported } from '../../../src/providers/adapter.ts';
import { openaiHost } from '../../../src/providers/openai/adapter.ts';
import { ChunkReader, readUsage } from '../../../src/providers/openai/chunk.ts';
import { HOST_PRESETS, type HostPreset } from '../../../src/providers/presets.ts';
import { FACTS, HELLO, PROVIDER, prepare, sent, textOf } from './helpers.ts';

const ANSWER = {
  id: 'x',
  object: 'chat.completion',
  model: 'm',
  choices: [{ index: 0, message: { role: 'assistant', content: 'Größe' }, finish_reason: 'stop' }],
  usage: { prompt_tokens: 3, completion_tokens: 2, total_tokens: 5 },
};

describe('a host that nobody has heard of', () => {
  /** All that it takes to add one. */
  const made: HostPreset = {
    baseUrl: 'https://llm.example.com/api',
    needsKey: true,
    speaks: ['chat', 'embeddings'],
    quirks: {
      ...HOST_PRESETS.mistral.quirks,
      refuses: new Set(['seed']),
      seed: 'seed',
      leavesOut: new Set(['is_error']),
    },
  };
  const adapter = openaiHost(made);

  it('is spoken to as its entry in the table says', () => {
    assert.deepEqual([...adapter.speaks], ['chat', 'embeddings']);
    assert.equal(adapter.baseUrl(PROVIDER), 'https://llm.example.com/api');
    assert.equal(adapter.needsKey, 'yes');
    assert.equal(adapter.identity, null);
    assert.deepEqual(adapter.keyHeaders('sk-1'), { authorization: 'Bearer sk-1' });
    const body = {
      model: 'smart',
      stream: true,
      stream_options: { include_usage: true },
      messages: [{ role: 'developer', content: 'x', is_error: true }, ...HELLO],
      seed: 5,
      max_completion_tokens: 9,
    };
    assert.deepEqual(sent(body, { adapter, streaming: true }), {
      body: {
        model: 'up',
        stream: true,
        messages: [{ role: 'system', content: 'x' }, ...HELLO],
        max_tokens: 9,
      },
      dropped: ['seed'],
    });
    assert.equal(prepare({ input: 'x' }, { adapter, dialect: 'embeddings' }).path, '/embeddings');
  });

  it('has its answers read', () => {
    const reader = prepare({ model: 'm', messages: HELLO, n: 2 }, { adapter }).answer(FACTS);
    const bytes = Buffer.from(JSON.stringify(ANSWER));
    const read = reader.plain(ANSWER, bytes, {});
    assert.ok(read.kind === 'answer');
    assert.equal(read.body, bytes);
    assert.deepEqual(read.usage, { input: 3, output: 2, cached: 0, cacheWrite: 0, reasoning: 0 });
    assert.deepEqual(read.output(), { characters: 7, reasoning: 0 });
    const format = reader.stream({});
    assert.ok(format.kind === 'relayed');
    const finish = { index: 0, delta: {}, finish_reason: 'stop' };
    format.reader.read(JSON.stringify({ choices: [finish] }), '');
    assert.equal(format.reader.finished, false, 'two choices were asked for');
    format.reader.read(JSON.stringify({ choices: [{ ...finish, index: 1 }] }), '');
    assert.equal(format.reader.finished, true);
  });

  it("counts the choices by the target's word, where it has one", () => {
    for (const [n, overrideParams, finished] of [
      [3, { n: 1 }, true],
      [3, { n: null }, true],
      [1, { n: 2 }, false],
      ['2', {}, true],
      [-1, {}, true],
    ] as const) {
      const reader = prepare({ messages: HELLO, n }, { adapter, overrideParams }).answer(FACTS);
      const format = reader.stream({});
      assert.ok(format.kind === 'relayed');
      format.reader.read('{"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}', '');
      assert.equal(format.reader.finished, finished, `${n} ${JSON.stringify(overrideParams)}`);
    }
  });

  it('is not asked in words that it does not speak', () => {
    assert.throws(() => prepare({}, { adapter, dialect: 'messages' }), Unsupported);
    assert.throws(() => prepare({}, { adapter, dialect: 'count_tokens' }), Unsupported);
  });
});

describe('a plain answer', () => {
  const plain = (value: object) =>
    prepare({ messages: HELLO })
      .answer(FACTS)
      .plain(value as JsonObject, Buffer.alloc(0), {});

  it('is an error, or broken, where it only looks like one', () => {
    const error = { error: { message: 'no' } };
    assert.deepEqual(plain(error), { kind: 'error', error });
    assert.deepEqual(plain({ object: 'error', message: 'no' }), {
      kind: 'error',
      error: { object: 'error', message: 'no' },
    });
    const failed = { finish_reason: 'error', error: { code: 502, message: 'x' } };
    assert.deepEqual(plain({ choices: [failed] }), { kind: 'error', error: failed });
    for (const odd of [{}, { choices: [] }, { choices: {} }, { choices: null }])
      assert.equal(plain(odd).kind, 'broken');
    assert.equal(plain({ choices: [null] }).kind, 'answer');
  });

  it('may come without usage', () => {
    const read = plain({ choices: [{}], usage: null });
    assert.ok(read.kind === 'answer' && read.usage === null);
  });
});

describe('a chunk that is parsed already', () => {
  const chunk = { model: 'm', choices: [{ index: 0, delta: { content: 'Hi' }, finish_reason: null }] };

  it('is read as one that came as text', () => {
    const events: JsonObject[] = [
      chunk,
      { choices: [{ index: 0, delta: {}, finish_reason: 'stop' }] },
      { choices: [], usage: { prompt_tokens: 1, completion_tokens: 2 } },
      { choices: [{ finish_reason: 'error' }] },
      { error: { message: 'x' } },
      { usage: { prompt_tokens: 1 } },
      { type: 'ping' },
      { odd: true },
    ];
    const [parsed, text] = [new ChunkReader(1), new ChunkReader(1)];
    for (const event of events) {
      const copy = structuredClone(event);
      assert.equal(parsed.readValue(copy), text.read(JSON.stringify(event), ''), JSON.stringify(event));
      assert.equal(parsed.value, copy);
      for (const name of [
        'value',
        'usage',
        'model',
        'error',
        'mended',
        'reportsUsage',
        'output',
        'finished',
      ] as const)
        assert.deepEqual(parsed[name], text[name], name);
    }
  });

  it('is no longer at hand once an event came that was none', () => {
    const reader = new ChunkReader(1);
    reader.read(JSON.stringify(chunk), '');
    assert.deepEqual(reader.value, chunk);
    for (const data of ['[DONE]', 'x', '5', '']) {
      reader.readValue(chunk);
      reader.read(data, '');
      assert.equal(reader.value, null, data);
      assert.deepEqual(reader.output, { characters: 0, reasoning: 0 });
    }
  });

  it('tells what was written to a cache for an hour, as part of all that was written', () => {
    const usage = (details: JsonObject) => readUsage({ prompt_tokens: 100, prompt_tokens_details: details });
    assert.equal(usage({ cache_write_tokens: 30, cache_write_1h_tokens: 20 }).cacheWriteHour, 20);
    assert.equal(usage({ cache_write_tokens: 30, cache_write_1h_tokens: 40 }).cacheWriteHour, 30);
    for (const none of [
      { cache_write_tokens: 30 },
      { cache_write_1h_tokens: 0 },
      { cache_write_1h_tokens: 'x' },
    ])
      assert.equal('cacheWriteHour' in usage(none), false);
  });
});

describe('a large body', () => {
  it('is not printed again', () => {
    const image = 'A'.repeat(1_000_000);
    const text = `{"model":"smart","messages":[{"role":"user","content":[{"type":"image_url","image_url":{"url":"${image}"}}]}]}`;
    const prepared = prepare(text);
    assert.equal(textOf(prepared), text.replace('smart', 'up'));
    assert.ok(prepared.body.length > 1);
  });
});
