import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type {
  Response,
  ResponseCreateParams,
  ResponseOutputMessage,
  ResponseReasoningItem,
  ResponseStreamEvent,
  ResponseUsage,
} from 'openai/resources/responses/responses';
import type { JsonObject } from '../../../src/core/json.ts';
import { readInBandError } from '../../../src/providers/failure.ts';
import { ResponsesReader } from '../../../src/providers/openai/responses-reader.ts';
import { outputOfResponse } from '../../../src/providers/openai/responses-usage.ts';
import { type AskOptions, FACTS, prepare, sent, textOf } from './helpers.ts';

const USAGE: ResponseUsage = {
  input_tokens: 100,
  input_tokens_details: { cached_tokens: 60, cache_write_tokens: 30 },
  output_tokens: 50,
  output_tokens_details: { reasoning_tokens: 20 },
  total_tokens: 150,
};
const READ_USAGE = { input: 100, output: 50, cached: 60, cacheWrite: 30, reasoning: 20 };

function response(fields: Partial<Response>): Response {
  return {
    id: 'resp_1',
    object: 'response',
    created_at: 1_795_000_000,
    status: 'completed',
    model: 'gpt-6-sol-2026-09-01',
    output: [],
    error: null,
    incomplete_details: null,
    ...fields,
  } as Response;
}

const CALL = {
  type: 'function_call',
  id: 'fc_1',
  call_id: 'call_1',
  name: 'weather',
  arguments: '',
} as const;
const REASONING: ResponseReasoningItem = { type: 'reasoning', id: 'rs_1', summary: [] };
const place = { item_id: 'msg_1', output_index: 1, content_index: 0 };
const MESSAGE: ResponseOutputMessage = {
  type: 'message',
  id: 'msg_1',
  role: 'assistant',
  status: 'in_progress',
  content: [],
};

type EventWithout<T> = T extends { sequence_number: number } ? Omit<T, 'sequence_number'> : T;
type Step = [event: EventWithout<ResponseStreamEvent>, kind: string, characters?: number, reasoning?: number];

const open = response({ status: 'in_progress' });

/** A stream in which the model thinks, says something and calls a tool. */
const STREAM: Step[] = [
  [{ type: 'response.created', response: open }, 'quiet'],
  [{ type: 'response.in_progress', response: open }, 'quiet'],
  [{ type: 'response.output_item.added', output_index: 0, item: REASONING }, 'quiet'],
  [
    {
      type: 'response.reasoning_summary_part.added',
      item_id: 'rs_1',
      output_index: 0,
      summary_index: 0,
      part: { type: 'summary_text', text: '' },
    },
    'quiet',
  ],
  [
    {
      type: 'response.reasoning_summary_text.delta',
      item_id: 'rs_1',
      output_index: 0,
      summary_index: 0,
      delta: 'Hm…',
    },
    'content',
    5,
    5,
  ],
  [
    {
      type: 'response.reasoning_summary_text.done',
      item_id: 'rs_1',
      output_index: 0,
      summary_index: 0,
      text: 'Hm…',
    },
    'quiet',
  ],
  [
    {
      type: 'response.reasoning_text.delta',
      item_id: 'rs_1',
      output_index: 0,
      content_index: 0,
      delta: 'So',
    },
    'content',
    2,
    2,
  ],
  [{ type: 'response.output_item.done', output_index: 0, item: REASONING }, 'quiet'],
  [{ type: 'response.output_item.added', output_index: 1, item: MESSAGE }, 'quiet'],
  [
    {
      type: 'response.content_part.added',
      ...place,
      part: { type: 'output_text', text: '', annotations: [] },
    },
    'quiet',
  ],
  [{ type: 'response.output_text.delta', ...place, delta: '', logprobs: [] }, 'quiet'],
  [{ type: 'response.output_text.delta', ...place, delta: 'Größe', logprobs: [] }, 'content', 7],
  [{ type: 'response.refusal.delta', ...place, delta: 'No' }, 'content', 2],
  [{ type: 'response.output_text.done', ...place, text: 'Größe', logprobs: [] }, 'quiet'],
  [{ type: 'response.output_item.done', output_index: 1, item: MESSAGE }, 'quiet'],
  [{ type: 'response.output_item.added', output_index: 2, item: CALL }, 'content', 7],
  [
    { type: 'response.function_call_arguments.delta', item_id: 'fc_1', output_index: 2, delta: '{"city":' },
    'content',
    8,
  ],
  [
    { type: 'response.function_call_arguments.delta', item_id: 'fc_1', output_index: 2, delta: '"Ulm"}' },
    'content',
    6,
  ],
  [
    {
      type: 'response.function_call_arguments.done',
      item_id: 'fc_1',
      output_index: 2,
      arguments: '{"city":"Ulm"}',
    },
    'quiet',
  ],
  [
    { type: 'response.output_item.done', output_index: 2, item: { ...CALL, arguments: '{"city":"Ulm"}' } },
    'quiet',
  ],
];

function readAll(steps: readonly Step[], reader = new ResponsesReader()): ResponsesReader {
  for (const [index, [event, kind, characters = 0, reasoning = 0]] of steps.entries()) {
    const data = JSON.stringify({ ...event, sequence_number: index });
    assert.equal(reader.read(data, event.type), kind, data);
    assert.deepEqual(reader.output, { characters, reasoning }, data);
    assert.deepEqual(reader.value, JSON.parse(data));
    assert.equal(reader.mended, null);
  }
  return reader;
}

describe("a response's stream", () => {
  it('is read event by event, to its end', () => {
    const reader = readAll(STREAM);
    assert.equal(reader.model, 'gpt-6-sol-2026-09-01');
    assert.deepEqual([reader.finished, reader.finishedAllBegun, reader.usage], [false, false, null]);
    readAll(
      [[{ type: 'response.completed', response: response({ usage: USAGE, model: 'other' }) }, 'content']],
      reader,
    );
    assert.deepEqual([reader.finished, reader.finishedAllBegun, reader.reportsUsage], [true, true, true]);
    assert.deepEqual(reader.usage, READ_USAGE);
    assert.equal(reader.model, 'gpt-6-sol-2026-09-01');
  });

  it('is whole too where it had no room to say more', () => {
    const incomplete = response({
      status: 'incomplete',
      incomplete_details: { reason: 'max_output_tokens' },
      usage: USAGE,
    });
    const reader = readAll([...STREAM, [{ type: 'response.incomplete', response: incomplete }, 'content']]);
    assert.deepEqual([reader.finished, reader.usage], [true, READ_USAGE]);
  });

  it('says while it calls a tool of the client, so that no piece is lost', () => {
    const calling = STREAM.map((_, at) => readAll(STREAM.slice(0, at + 1)).callingTool);
    assert.deepEqual(
      calling.flatMap((value, at) => (value ? [at] : [])),
      [15, 16, 17, 18],
    );
    const custom = { ...CALL, type: 'custom_tool_call', input: '' } as const;
    const begun: Step = [{ type: 'response.output_item.added', output_index: 0, item: custom }, 'content', 7];
    assert.equal(readAll([begun]).callingTool, true);
    const cut: Step = [{ type: 'response.incomplete', response: response({}) }, 'content'];
    assert.equal(readAll([begun, cut]).callingTool, false);
  });

  it("takes what the host's own tools do for content: it is not to be done twice", () => {
    const searching: Step = [
      { type: 'response.web_search_call.searching', item_id: 'ws_1', output_index: 0 },
      'content',
    ];
    const sound: Step = [{ type: 'response.audio.delta', delta: 'AAAA' }, 'content'];
    readAll([searching, sound]);
  });

  it('has its errors found, in each of their shapes', () => {
    const cases: [object, string, number | null][] = [
      [{ type: 'error', code: 'rate_limit_exceeded', message: 'Slow', param: null }, 'rate_limited', 429],
      [{ type: 'error', code: null, message: 'What?', param: null }, 'broken_body', null],
      [{ type: 'error', error: { type: 'server_error', message: 'Oh', code: null } }, 'server_error', 500],
      [
        { error: { type: 'insufficient_quota', code: 'insufficient_quota', message: 'Pay' } },
        'out_of_credit',
        429,
      ],
      [
        {
          type: 'response.failed',
          response: response({ status: 'failed', error: { code: 'server_error', message: 'Oh' } }),
        },
        'server_error',
        500,
      ],
      [
        {
          type: 'response.failed',
          response: response({ status: 'failed', error: { code: 'invalid_prompt', message: 'No' } }),
        },
        'content_filtered',
        400,
      ],
      [
        {
          type: 'response.failed',
          response: response({ status: 'failed', error: { code: 'invalid_image_url', message: 'No' } }),
        },
        'invalid_request',
        400,
      ],
      [{ type: 'response.failed' }, 'broken_body', null],
    ];
    for (const [event, kind, status] of cases) {
      const reader = new ResponsesReader();
      assert.equal(reader.read(JSON.stringify(event), ''), 'error');
      const failure = readInBandError(reader.error as JsonObject, (text) => text);
      assert.deepEqual([failure.kind, failure.status], [kind, status], JSON.stringify(event));
      // An event of its own is no body for an answer; an error by itself is.
      const flat = 'type' in event && event.type === 'error';
      if (flat) assert.equal(failure.error?.raw ?? null, null);
    }
    const bare = new ResponsesReader();
    bare.read('{"type":"response.failed"}', '');
    assert.deepEqual(bare.error, { error: 'response.failed' });
    assert.equal(new ResponsesReader().read('boom', 'error'), 'error');
    assert.equal(new ResponsesReader().read('"boom"', 'error'), 'error');
  });

  it('has nothing of an event at hand once another has come', () => {
    const reader = readAll([
      [{ type: 'response.completed', response: response({ usage: USAGE }) }, 'content'],
    ]);
    reader.read('[DONE]', '');
    assert.deepEqual([reader.value, reader.reportsUsage], [null, false]);
    assert.deepEqual([reader.usage, reader.finished], [READ_USAGE, true]);
  });

  it('reads over what is no event of it', () => {
    const cases: [data: string, type: string, kind: string][] = [
      ['[DONE]', '', 'done'],
      [' ', '', 'ping'],
      ['{"type":"ping"}', '', 'ping'],
      ['{}', 'ping', 'ping'],
      ['{"a":1}', '', 'foreign'],
      ['{"type":5}', '', 'foreign'],
      ['{"type":"response.from.the.future"}', '', 'quiet'],
      ['{"type":"response.future.delta","delta":{"x":1}}', '', 'content'],
      ['{"type":"response.completed"', '', 'invalid'],
      ['[1]', '', 'invalid'],
      ['null', '', 'invalid'],
      ['{"type":"response.created","response":null}', '', 'quiet'],
      ['{"type":"response.created","response":{"model":5,"usage":[]}}', '', 'quiet'],
      ['{"type":"response.output_item.added","item":5}', '', 'quiet'],
      ['{"type":"__proto__"}', '', 'quiet'],
    ];
    for (const [data, type, kind] of cases) {
      const reader = new ResponsesReader();
      assert.equal(reader.read(data, type), kind, data);
      assert.deepEqual([reader.usage, reader.model, reader.finished], [null, null, false]);
    }
  });
});

const responses = (body: object, options: AskOptions = {}) =>
  sent(body, { dialect: 'responses', ...options });
const ASKED = { model: 'up', input: 'Hi' } satisfies ResponseCreateParams;

describe('a request for a response', () => {
  it('goes out byte for byte, to its own path', () => {
    const body = '{ "input":"H\\u0069","model":"up","reasoning":{"effort":"ultra"},"temperature":0.0 }';
    const prepared = prepare(body, { dialect: 'responses', streaming: true });
    assert.deepEqual([prepared.path, textOf(prepared), prepared.dropped], ['/responses', body, []]);
  });

  it('asks for no longer an answer than the model can write', () => {
    const bounded = (max: number | null, options: AskOptions = {}) => {
      const { body, dropped } = sent(
        { model: 'up', input: 'Hi', max_output_tokens: max },
        { dialect: 'responses', capabilities: { maxOutput: 1000 }, strict: true, ...options },
      );
      assert.deepEqual(dropped, []);
      return body['max_output_tokens'];
    };
    assert.equal(bounded(5000), 1000);
    assert.equal(bounded(1000), 1000);
    assert.equal(bounded(5), 5);
    assert.equal(bounded(null), null);
    assert.equal(bounded(5, { overrideParams: { max_tokens: 5000 } }), 1000);
    assert.equal(bounded(5000, { overrideParams: { max_output_tokens: 7 } }), 7);
    assert.equal(bounded(5000, { capabilities: {} }), 5000);
  });

  it("has the target's model, and its overrides under the names that responses know", () => {
    const cases: [AskOptions['overrideParams'], object][] = [
      [{ max_completion_tokens: 5 }, { max_output_tokens: 5 }],
      [{ max_tokens: 5 }, { max_output_tokens: 5 }],
      [{ max_tokens: 5, max_completion_tokens: 6 }, { max_output_tokens: 6 }],
      [{ max_completion_tokens: 6, max_tokens: 5 }, { max_output_tokens: 6 }],
      [{ max_output_tokens: 7 }, { max_output_tokens: 7 }],
      [{ reasoning_effort: 'low' }, { reasoning: { summary: 'auto', effort: 'low' } }],
      [{ reasoning_effort: null }, { reasoning: { summary: 'auto' } }],
      [{ reasoning: { effort: 'none' } }, { reasoning: { effort: 'none' } }],
      [{ verbosity: 'low' }, { text: { verbosity: 'low' } }],
      [
        { temperature: 0, user: 'u', store: null },
        { temperature: 0, user: 'u' },
      ],
      [
        {
          n: 2,
          stop: ['x'],
          seed: 1,
          logprobs: true,
          logit_bias: {},
          presence_penalty: 1,
          frequency_penalty: 1,
          response_format: { type: 'json_object' },
          stream_options: { include_usage: true },
          messages: [],
          tools: [],
          tool_choice: 'none',
        },
        {},
      ],
    ];
    const reasoning = { summary: 'auto', effort: 'high' };
    for (const [overrideParams, expected] of cases) {
      const { body } = responses(
        { ...ASKED, model: 'smart', reasoning },
        { ...(overrideParams && { overrideParams }) },
      );
      assert.deepEqual(body, { ...ASKED, reasoning, ...expected }, JSON.stringify(overrideParams));
    }
    const bare = responses(
      { ...ASKED, reasoning: { effort: 'low' } },
      { overrideParams: { reasoning_effort: null } },
    );
    assert.deepEqual(bare.body, ASKED);
  });

  it('loses what the model refuses, by name', () => {
    const capabilities = {
      refuses: new Set(['temperature', 'top_p', 'logprobs']),
      takesAtNoEffort: new Set(['temperature']),
      efforts: ['none', 'low'] as const,
      toolsOnlyAtNoEffort: true,
    };
    const asked = { ...ASKED, temperature: 0.5, top_p: 0.5, reasoning: { effort: 'high', summary: 'auto' } };
    assert.deepEqual(responses(asked, { capabilities }), {
      body: { ...ASKED, reasoning: { effort: 'low', summary: 'auto' } },
      dropped: ['temperature', 'top_p', 'reasoning'],
    });
    const still = {
      ...ASKED,
      temperature: 0.5,
      top_p: 1,
      reasoning: { effort: 'none' },
      tools: [{ type: 'web_search' }],
    };
    const { top_p: _, ...rest } = still;
    assert.deepEqual(responses(still, { capabilities, strict: true }), { body: rest, dropped: [] });
    assert.throws(() => responses(asked, { capabilities, strict: true }), { name: 'Unsupported' });
  });
});

describe('a whole response', () => {
  const reader = () => prepare(ASKED, { dialect: 'responses' }).answer(FACTS);
  const plain = (value: object) => reader().plain(value as JsonObject, Buffer.from('the bytes'), {});

  it('is passed on as it came, with its usage and its size', () => {
    const whole = response({
      usage: USAGE,
      output: [
        {
          type: 'reasoning',
          id: 'rs',
          summary: [{ type: 'summary_text', text: 'Hm' }],
          content: [{ type: 'reasoning_text', text: 'Hmmm' }],
        },
        {
          type: 'message',
          id: 'msg',
          role: 'assistant',
          status: 'completed',
          content: [
            { type: 'output_text', text: 'Größe', annotations: [] },
            { type: 'refusal', refusal: 'No' },
          ],
        },
        { ...CALL, arguments: '{"a":1}' },
      ],
    });
    const read = plain(whole);
    assert.ok(read.kind === 'answer');
    assert.equal(read.body.toString(), 'the bytes');
    assert.deepEqual(read.usage, READ_USAGE);
    assert.deepEqual(read.output(), { characters: 4 + 7 + 2 + 7 + 7, reasoning: 4 });
    const format = reader().stream({});
    assert.ok(format.kind === 'relayed' && format.reader instanceof ResponsesReader);
  });

  it('may still be under way, or cut', () => {
    for (const status of ['queued', 'in_progress', 'incomplete'] as const) {
      const read = plain(response({ status }));
      assert.ok(read.kind === 'answer');
      assert.equal(read.usage, null);
    }
  });

  it('is none where it failed, or is something else', () => {
    assert.equal(
      plain(response({ status: 'failed', error: { code: 'server_error', message: 'Oh' } })).kind,
      'error',
    );
    assert.equal(plain(response({ status: 'failed' })).kind, 'error');
    assert.equal(plain({ object: 'error', message: 'no' }).kind, 'error');
    for (const odd of [{}, { output: null }, { output: {} }, { choices: [{}] }])
      assert.equal(plain(odd).kind, 'broken');
  });

  it('has no size where it makes no sense', () => {
    for (const output of [null, 1, [null, 1, 'x', []], [{ content: [null, { text: 5 }], arguments: {} }]]) {
      assert.deepEqual(outputOfResponse({ output } as JsonObject), { characters: 0, reasoning: 0 });
    }
  });
});
