import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { JsonObject } from '../../../src/core/json.ts';
import { accumulate, completionOf, everySplit, fixedFacts, plain, sse, streamed } from '../kit.ts';
import { EXCHANGES } from './exchanges.ts';
import {
  bytesOf,
  choiceOf,
  json,
  messageOf,
  prepare,
  USAGE,
  type WirePart,
  type WireResponse,
  whole,
} from './kit.ts';

function readingOf(response: WireResponse) {
  return plain(prepare({}), json(response));
}

describe('a stream of Gemini and the whole answer that it stands for', () => {
  for (const [name, { stream, whole: answer, n = 1 }] of Object.entries(EXCHANGES)) {
    it(`are the same: ${name}`, () => {
      const prepared = prepare({ n });
      const told = streamed(prepared, [bytesOf(stream)]);
      assert.ok(told.isWhole, JSON.stringify(told));
      assert.deepEqual(accumulate(told.chunks), completionOf(prepared, json(answer)));
    });

    it(`come with the same usage: ${name}`, () => {
      const reading = plain(prepare({ n }), json(answer));
      assert.ok(reading.kind === 'answer');
      const told = streamed(prepare({ n }), [bytesOf(stream)]);
      assert.deepEqual(told.usages.at(-1), reading.usage);
    });

    it(`are the same however the bytes are cut: ${name}`, () => {
      const bytes = bytesOf(stream);
      const expected = JSON.stringify(streamed(prepare({ n }), [bytes]).chunks);
      for (const pieces of everySplit(bytes)) {
        const { chunks } = streamed(prepare({ n }), pieces);
        assert.equal(JSON.stringify(chunks), expected, `cut after ${pieces[0]?.length} bytes`);
      }
    });

    it(`have no finish that did not come: ${name}`, () => {
      for (let count = 0; count < stream.length; count++) {
        const told = streamed(prepare({ n }), [bytesOf(stream.slice(0, count), '\n\n')]);
        assert.equal(told.dones, 0);
        const finishes = told.chunks.flatMap((chunk) =>
          (chunk['choices'] as JsonObject[]).map((choice) => choice['finish_reason']),
        );
        const expected = stream
          .slice(0, count)
          .flatMap(({ candidates = [] }) => candidates.filter(({ finishReason }) => finishReason));
        assert.equal(finishes.filter((finish) => finish !== null).length, expected.length);
      }
    });
  }

  it('gives what must be handed back to whoever remembers it, once', () => {
    for (const how of ['stream', 'whole'] as const) {
      const facts = fixedFacts();
      const exchange =
        EXCHANGES['parallel calls after a text, the first with a signature, one without arguments'];
      assert.ok(exchange !== undefined);
      if (how === 'whole') completionOf(prepare({}), json(exchange.whole), facts);
      else streamed(prepare({}), [bytesOf(exchange.stream)], facts);
      assert.deepEqual(facts.remembered, [
        { callIds: ['a1', 'b2', 'c3'], what: { thinkingBlocks: [], thoughtSignatures: { a1: 'U2ln' } } },
      ]);
    }
  });
});

describe('the parts of an answer', () => {
  it('have texts and thoughts put together', () => {
    const { content, reasoning_content } = messageOf(
      whole([{ text: 'a', thought: true }, { text: 'b' }, { text: 'c', thought: true }, { text: 'd' }]),
    );
    assert.deepEqual([content, reasoning_content], ['bd', 'ac']);
  });

  it('have ids of calls made where Google gave none, which say so', () => {
    const calls = messageOf(
      whole([{ functionCall: { name: 'f' } }, { functionCall: { id: '', name: 'f' } }]),
    )['tool_calls'] as JsonObject[];
    const ids = calls.map(({ id }) => String(id));
    assert.equal(new Set(ids).size, 2);
    for (const id of ids) assert.match(id, /^call_sw/);
  });

  it('have signatures where Google puts them, and where it once did', () => {
    const old = { functionCall: { name: 'f', thoughtSignature: 'T2xk' } } as WirePart;
    const [call] = messageOf(whole([old]))['tool_calls'] as JsonObject[];
    assert.deepEqual(call?.['extra_content'], { google: { thought_signature: 'T2xk' } });
    const thought = messageOf(
      whole([{ text: 'Hm', thought: true, thoughtSignature: 'VGg=' }, { text: 'x' }]),
    );
    assert.deepEqual(thought['extra_content'], { google: { thought_signature: 'VGg=' } });
  });

  it('have calls that come in pieces one after another, whether or not their ends are marked', () => {
    const piece = (stringValue: string): WirePart => ({
      functionCall: { partialArgs: [{ jsonPath: '$.a', stringValue }], willContinue: true },
    });
    const begin = (name: string): WirePart => ({ functionCall: { name, willContinue: true } });
    const message = messageOf(
      whole([
        begin('f'),
        piece('1'),
        piece('2'),
        begin('g'),
        piece('3'),
        { functionCall: { name: 'h' } },
        begin('i'),
      ]),
    );
    assert.deepEqual(
      (message['tool_calls'] as JsonObject[]).map((call) => call['function']),
      [
        { name: 'f', arguments: '{"a":"12"}' },
        { name: 'g', arguments: '{"a":"3"}' },
        { name: 'h', arguments: '{}' },
        { name: 'i', arguments: '{}' },
      ],
    );
  });

  it('have a signature that comes with a later piece of a call beside all', () => {
    const message = messageOf(
      whole([
        { functionCall: { name: 'f', willContinue: true } },
        {
          functionCall: { partialArgs: [{ jsonPath: '$.a', stringValue: 'x' }] },
          thoughtSignature: 'TGF0ZQ==',
        },
      ]),
    );
    assert.deepEqual(message['extra_content'], { google: { thought_signature: 'TGF0ZQ==' } });
  });

  it('have nothing in them that only looks like a picture or a language', () => {
    const odd = whole([
      { inlineData: { mimeType: 'image/png', data: 'AA) [x](' } },
      { inlineData: { mimeType: 'image/png) (', data: 'AAAA' } },
      { executableCode: { code: 'x', language: 'py`\n' as never } },
    ]);
    const told = streamed(prepare({}), [sse([{ data: json(odd) }])]);
    assert.equal(told.foreigns, 1);
    const [choice] = accumulate(told.chunks)['choices'] as { message: JsonObject }[];
    assert.equal(choice?.message['content'], '\n```\nx\n```\n');
  });

  it('have pictures, sound and code as text, so that nothing is lost', () => {
    const { content } = messageOf(
      whole([
        { inlineData: { mimeType: 'image/png', data: 'AAAA' } },
        { text: ' and ' },
        { inlineData: { mimeType: 'audio/L16;codec=pcm;rate=24000', data: 'BBBB' } },
        { inlineData: { mimeType: 'image/png', data: 'CCCC' }, thought: true },
        { executableCode: { code: 'print(1)\n', language: 'PYTHON' as never } },
        { codeExecutionResult: { output: '1\n' } },
        { fileData: { fileUri: 'https://x.test/a b', mimeType: 'text/plain' } },
      ]),
    );
    assert.equal(
      content,
      '![image](data:image/png;base64,AAAA) and [audio](data:audio/L16;codec=pcm;rate=24000;base64,BBBB)' +
        '\n```python\nprint(1)\n```\n\n```\n1\n```\n[file](https://x.test/a%20b)',
    );
  });

  it('are counted where they bring what has no place, and the rest is told', () => {
    const odd = { somethingNew: { a: 1 } } as WirePart;
    assert.equal(messageOf(whole([odd, { text: 'x' }]))['content'], 'x');
    const told = streamed(prepare({}), [sse([{ data: json(whole([odd, { text: 'x' }])) }])]);
    assert.equal(told.foreigns, 1);
    assert.equal((accumulate(told.chunks)['choices'] as JsonObject[])[0]?.['finish_reason'], 'stop');
  });
});

describe('why an answer of Gemini ended', () => {
  const rows: Record<string, string[]> = {
    stop: ['STOP', 'OTHER', 'NO_IMAGE', 'FINISH_REASON_UNSPECIFIED', 'SOMETHING_NEW', 'constructor'],
    length: ['MAX_TOKENS', 'CONTINUATION'],
    content_filter: [
      'SAFETY',
      'RECITATION',
      'LANGUAGE',
      'BLOCKLIST',
      'PROHIBITED_CONTENT',
      'SPII',
      'IMAGE_SAFETY',
      'IMAGE_PROHIBITED_CONTENT',
      'IMAGE_RECITATION',
      'IMAGE_OTHER',
      'MODEL_ARMOR',
    ],
  };
  for (const [finish, reasons] of Object.entries(rows)) {
    for (const finishReason of reasons) {
      it(`${finishReason} is ${finish}`, () => {
        assert.equal(choiceOf(whole([{ text: 'x' }], { finishReason }))['finish_reason'], finish);
      });
    }
  }

  it('a message is a refusal only where the answer was withheld', () => {
    const message = messageOf(
      whole([{ text: 'x' }], { finishReason: 'STOP', finishMessage: 'All is well.' }),
    );
    assert.equal(message['refusal'], null);
  });

  it('STOP with a call, and what is not known, is tool_calls', () => {
    for (const finishReason of ['STOP', 'FUNCTION_CALL']) {
      const choice = choiceOf(whole([{ functionCall: { name: 'f' } }], { finishReason }));
      assert.equal(choice['finish_reason'], 'tool_calls');
    }
  });

  it('MAX_TOKENS with a call is length: it may not be whole', () => {
    const choice = choiceOf(whole([{ functionCall: { name: 'f' } }], { finishReason: 'MAX_TOKENS' }));
    assert.equal(choice['finish_reason'], 'length');
  });

  for (const finishReason of [
    'MALFORMED_FUNCTION_CALL',
    'MALFORMED_RESPONSE',
    'UNEXPECTED_TOOL_CALL',
    'TOO_MANY_TOOL_CALLS',
    'MISSING_THOUGHT_SIGNATURE',
  ]) {
    it(`${finishReason} is a failure, which may be tried again`, () => {
      const answer = whole([{ text: 'x' }], { finishReason, finishMessage: 'secret words' });
      const reading = readingOf(answer);
      assert.ok(reading.kind === 'broken');
      assert.equal(reading.why, `the model's answer failed (${finishReason})`);
      const told = streamed(prepare({}), [bytesOf([answer])]);
      assert.deepEqual([told.breaks, told.dones], [[reading.why], 0]);
      assert.ok(told.chunks.every((chunk) => !JSON.stringify(chunk).includes('"finish_reason":"')));
    });
  }

  it("a blocked prompt is an answer without content, in Google's words if it has some", () => {
    const blocked = (blockReasonMessage?: string) =>
      choiceOf({
        promptFeedback: { blockReason: 'SAFETY', ...(blockReasonMessage ? { blockReasonMessage } : {}) },
      });
    const { message, finish_reason } = blocked() as { message: JsonObject; finish_reason: string };
    assert.equal(finish_reason, 'content_filter');
    assert.deepEqual(message, {
      role: 'assistant',
      content: null,
      refusal: 'The prompt was blocked by the provider (SAFETY).',
    });
    assert.equal((blocked('No.')['message'] as JsonObject)['refusal'], 'No.');
  });

  it('feedback beside candidates blocks nothing', () => {
    const choice = choiceOf({ ...whole([{ text: 'x' }]), promptFeedback: { blockReason: 'SAFETY' } });
    assert.equal(choice['finish_reason'], 'stop');
  });

  it('feedback beside a candidate under way does not end it', () => {
    const begun = {
      candidates: [{ content: { parts: [{ text: 'x' }] } }],
      promptFeedback: { blockReason: 'SAFETY' },
    };
    const told = streamed(prepare({}), [bytesOf([begun, whole([{ text: 'y' }])])]);
    const [choice] = accumulate(told.chunks)['choices'] as { message: JsonObject; finish_reason: string }[];
    assert.deepEqual([choice?.message['content'], choice?.finish_reason], ['xy', 'stop']);
  });

  it('all has come only once each choice that was asked for has its finish', () => {
    const first = { candidates: [{ finishReason: 'STOP', index: 0 }], usageMetadata: USAGE };
    const second = { candidates: [{ finishReason: 'STOP', index: 1 }], usageMetadata: USAGE };
    assert.equal(streamed(prepare({ n: 2 }), [bytesOf([first])]).dones, 0);
    assert.equal(streamed(prepare({ n: 2 }), [bytesOf([first, second])]).dones, 1);
  });

  it('the worst that is wrong with an event counts', () => {
    const failed = { index: 0, finishReason: 'MALFORMED_RESPONSE' };
    const told = streamed(prepare({}), [sse([{ data: { candidates: [5, failed, { odd: 1 }] } }])]);
    assert.deepEqual([told.invalids, told.breaks.length], [0, 1]);
  });

  it('nothing is told after a finish', () => {
    const late = whole([{ text: 'late' }]);
    const first = { candidates: [{ content: { parts: [{ text: 'x' }] }, finishReason: 'STOP' }] };
    const told = streamed(prepare({}), [bytesOf([first, late])]);
    assert.equal(JSON.stringify(accumulate(told.chunks)).includes('late'), false);
    assert.equal(told.foreigns, 1);
  });
});

describe('what is no answer of Gemini', () => {
  const broken: Record<string, unknown> = {
    nothing: {},
    'usage alone': { usageMetadata: USAGE },
    'no candidates': { candidates: [] },
    'no finish': { candidates: [{ content: { parts: [{ text: 'x' }] } }] },
    'candidates that are no list': { candidates: { 0: { finishReason: 'STOP' } } },
    'a candidate that is no object': { candidates: [{ finishReason: 'STOP' }, 5] },
    'parts that are no list': { candidates: [{ content: { parts: {} }, finishReason: 'STOP' }] },
    'content that is no object': { candidates: [{ content: 'x', finishReason: 'STOP' }] },
    'a part that is no object': { candidates: [{ content: { parts: ['x'] }, finishReason: 'STOP' }] },
    'a text that is none': { candidates: [{ content: { parts: [{ text: 5 }] }, finishReason: 'STOP' }] },
    'a call that is none': {
      candidates: [{ content: { parts: [{ functionCall: 'f' }] }, finishReason: 'STOP' }],
    },
    'a call without a name': {
      candidates: [{ content: { parts: [{ functionCall: { args: {} } }] }, finishReason: 'STOP' }],
    },
    'an index that is none': { candidates: [{ index: -1, finishReason: 'STOP' }] },
    'an index that is far off': { candidates: [{ index: 1e9, finishReason: 'STOP' }] },
    'pieces of arguments that make no sense': {
      candidates: [
        {
          content: { parts: [{ functionCall: { name: 'f', partialArgs: [{ jsonPath: 'x' }] } }] },
          finishReason: 'STOP',
        },
      ],
    },
  };
  for (const [name, value] of Object.entries(broken)) {
    it(`is broken, and never finished: ${name}`, () => {
      const reading = plain(prepare({}), value as JsonObject);
      assert.equal(reading.kind, 'broken');
      const told = streamed(prepare({}), [sse([{ data: value as JsonObject }])]);
      assert.equal(told.errors.length, 0);
      const all = JSON.stringify(told.chunks);
      const isDamaged = told.invalids + told.breaks.length + told.foreigns > 0;
      assert.ok(isDamaged || !all.includes('"finish_reason":"'), all);
    });
  }

  it('is broken where one of two candidates has no finish', () => {
    const candidates = [{ finishReason: 'STOP' }, { content: { parts: [{ text: 'x' }] }, index: 1 }];
    assert.equal(readingOf({ candidates }).kind, 'broken');
    assert.equal(streamed(prepare({ n: 2 }), [bytesOf([{ candidates, usageMetadata: USAGE }])]).dones, 0);
  });

  it('is an error where it says so, in a list or not, whatever it is called', () => {
    const error = { error: { code: 503, message: 'overloaded', status: 'UNAVAILABLE' } };
    assert.deepEqual(plain(prepare({}), error), { kind: 'error', error });
    for (const data of [JSON.stringify(error), JSON.stringify([error])]) {
      assert.deepEqual(streamed(prepare({}), [sse([{ data }])]).errors, [error]);
    }
    assert.deepEqual(streamed(prepare({}), [sse([{ type: 'error', data: { message: 'x' } }])]).errors, [
      { message: 'x' },
    ]);
    assert.deepEqual(streamed(prepare({}), [sse([{ type: 'error', data: 'gone' }])]).errors, [
      { error: 'gone' },
    ]);
  });

  it('is dropped and counted where it is an event of a stream', () => {
    const good = whole([{ text: 'x' }]);
    for (const [data, counted] of [
      ['{"cut', 'invalids'],
      ['5', 'invalids'],
      ['null', 'invalids'],
      ['{"somethingNew":1}', 'foreigns'],
      ['{"candidates":[5]}', 'invalids'],
    ] as const) {
      const told = streamed(prepare({}), [sse([{ data }, { data: json(good) }])]);
      assert.equal(told[counted], 1, data);
      assert.equal(accumulate(told.chunks)['object'], 'chat.completion');
    }
  });

  it('is not what those in front of Google add to its streams', () => {
    const last = json(whole([{ text: 'x' }]));
    const told = streamed(prepare({}), [sse([{ data: '' }, { data: '[DONE]' }, { data: last }])]);
    assert.ok(told.isWhole, JSON.stringify(told));
  });
});

describe('usage', () => {
  const usageOf = (usageMetadata: WireResponse['usageMetadata']) => {
    const reading = readingOf({ ...whole([{ text: 'x' }]), usageMetadata: usageMetadata ?? {} });
    assert.ok(reading.kind === 'answer');
    return reading.usage;
  };

  it('has thoughts in the output, and what tools brought in the input, where cached is already', () => {
    assert.deepEqual(
      usageOf({
        promptTokenCount: 100,
        cachedContentTokenCount: 80,
        toolUsePromptTokenCount: 7,
        candidatesTokenCount: 20,
        thoughtsTokenCount: 30,
        totalTokenCount: 157,
      }),
      { input: 107, output: 50, cached: 80, cacheWrite: 0, reasoning: 30 },
    );
  });

  it('is as the total says where thoughts are in the answer already', () => {
    assert.deepEqual(
      usageOf({
        promptTokenCount: 100,
        candidatesTokenCount: 50,
        thoughtsTokenCount: 30,
        totalTokenCount: 150,
      }),
      { input: 100, output: 50, cached: 0, cacheWrite: 0, reasoning: 30 },
    );
  });

  it('has thoughts beside the answer where they are more than it, whatever the total', () => {
    const usage = usageOf({
      promptTokenCount: 9,
      candidatesTokenCount: 5,
      thoughtsTokenCount: 30,
      totalTokenCount: 14,
    });
    assert.equal(usage?.output, 35);
  });

  it('is not known where nothing is said, and never more than can be', () => {
    assert.equal(usageOf({}), null);
    assert.equal(readingOf({ candidates: [{ finishReason: 'STOP' }] }).kind, 'answer');
    assert.deepEqual(usageOf({ promptTokenCount: 5, cachedContentTokenCount: 9, candidatesTokenCount: -1 }), {
      input: 5,
      output: 0,
      cached: 5,
      cacheWrite: 0,
      reasoning: 0,
    });
    assert.equal(usageOf({ promptTokenCount: 1e300, candidatesTokenCount: '5' as never }), null);
  });

  it('says which tier it was', () => {
    const completion = completionOf(
      prepare({}),
      json({ ...whole([{ text: 'x' }]), usageMetadata: { ...USAGE, serviceTier: 'standard' } }),
    );
    assert.equal(completion['service_tier'], 'default');
  });

  it('is told with every event of a stream, for whoever must know if it breaks', () => {
    const told = streamed(prepare({}), [
      bytesOf([{ candidates: [{ content: { parts: [{ text: 'x' }] } }], usageMetadata: USAGE }]),
    ]);
    assert.equal(told.usages.length, 1);
  });
});

it('a damaged event that held a call breaks the stream, others are only dropped', () => {
  const text = { candidates: [{ content: { role: 'model', parts: [{ text: 'Hi' }] } }] };
  const tell = (damaged: string) => streamed(prepare({}), [sse([{ data: text }, { data: damaged }])]);
  assert.deepEqual(tell('{"candidates":[{"content":{"parts":[{"functionCall":{"name":"f","ar').breaks, [
    'an event with a call of a function was not valid JSON',
  ]);
  const dropped = tell('{"candidates":[{"content":{"parts":[{"text":"there');
  assert.deepEqual([dropped.breaks, dropped.invalids], [[], 1]);
});
