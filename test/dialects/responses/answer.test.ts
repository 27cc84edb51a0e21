import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { openReasoning } from '../../../src/chat/sealed-reasoning.ts';
import type { Json, JsonObject } from '../../../src/core/json.ts';
import { responses } from '../../../src/dialects/responses/responses.ts';
import {
  answerTo,
  CREATED,
  type CreateParams,
  completion,
  ID,
  read,
  served,
  USAGE,
  type WireResponse,
} from './kit.ts';

const ASKED: CreateParams = { model: 'smart', input: 'Hi' };

const call = (id: string, args: string, more: JsonObject = {}): JsonObject => ({
  id,
  type: 'function',
  function: { name: 'look', arguments: args },
  ...more,
});

describe('a chat completion becomes a Response', () => {
  it('has every member that the API has, and the output in its order', () => {
    const response = answerTo(
      ASKED,
      completion(
        {
          content: 'Hello',
          reasoning_content: 'Hm.',
          thinking_blocks: [{ type: 'thinking', thinking: 'Hm.', signature: 'sig' }],
          tool_calls: [call('a', '{"x":1}'), call('b', '')],
          annotations: [
            {
              type: 'url_citation',
              url_citation: { url: 'https://x.test', title: 'X', start_index: 0, end_index: 5 },
            },
          ],
        },
        'tool_calls',
        { service_tier: 'flex' },
      ),
    );
    const [reasoning] = response.output;
    assert.ok(reasoning?.type === 'reasoning');
    const sealed = openReasoning(reasoning.encrypted_content as Json);
    assert.deepEqual(sealed?.thinkingBlocks, [{ type: 'thinking', thinking: 'Hm.', signature: 'sig' }]);
    const expected: WireResponse = {
      id: `resp_${ID}`,
      object: 'response',
      created_at: CREATED,
      status: 'completed',
      background: false,
      error: null,
      incomplete_details: null,
      instructions: null,
      max_output_tokens: null,
      max_tool_calls: null,
      model: 'model-x',
      output: [
        {
          id: `rs_${ID}`,
          type: 'reasoning',
          status: 'completed',
          summary: [{ type: 'summary_text', text: 'Hm.' }],
          encrypted_content: reasoning.encrypted_content ?? '',
        },
        {
          id: `msg_${ID}`,
          type: 'message',
          status: 'completed',
          role: 'assistant',
          content: [
            {
              type: 'output_text',
              text: 'Hello',
              annotations: [
                { type: 'url_citation', url: 'https://x.test', title: 'X', start_index: 0, end_index: 5 },
              ],
              logprobs: [],
            },
          ],
        },
        {
          id: `fc_${ID}_0`,
          type: 'function_call',
          status: 'completed',
          call_id: 'a',
          name: 'look',
          arguments: '{"x":1}',
        },
        {
          id: `fc_${ID}_1`,
          type: 'function_call',
          status: 'completed',
          call_id: 'b',
          name: 'look',
          arguments: '{}',
        },
      ],
      parallel_tool_calls: true,
      previous_response_id: null,
      prompt_cache_key: null,
      reasoning: { effort: null, summary: null },
      safety_identifier: null,
      service_tier: 'flex',
      store: false,
      temperature: 1,
      text: { format: { type: 'text' } },
      tool_choice: 'auto',
      tools: [],
      top_logprobs: 0,
      top_p: 1,
      truncation: 'disabled',
      usage: {
        input_tokens: 20,
        input_tokens_details: { cached_tokens: 8, cache_write_tokens: 4 },
        output_tokens: 9,
        output_tokens_details: { reasoning_tokens: 5 },
        total_tokens: 29,
      },
      metadata: {},
      access_programs: null,
    } as WireResponse & { store: false };
    assert.deepEqual(response, expected);
  });

  it('repeats what was asked for, and what was in force where that was not', () => {
    const {
      output: _,
      usage: __,
      ...echo
    } = answerTo(
      {
        ...ASKED,
        instructions: 'Be brief.',
        max_output_tokens: 99,
        max_tool_calls: 2,
        parallel_tool_calls: false,
        prompt_cache_key: 'k',
        reasoning: { effort: 'low', summary: 'auto' },
        safety_identifier: 's',
        user: 'u',
        store: true,
        temperature: 0.5,
        top_p: 0.25,
        top_logprobs: 2,
        truncation: 'auto',
        text: { verbosity: 'low' },
        tool_choice: 'required',
        tools: [{ type: 'function', name: 'f' } as never],
        metadata: { a: 'b' },
      },
      completion({ content: 'x' }),
    );
    assert.deepEqual(echo, {
      id: `resp_${ID}`,
      object: 'response',
      created_at: CREATED,
      status: 'completed',
      background: false,
      error: null,
      incomplete_details: null,
      instructions: 'Be brief.',
      max_output_tokens: 99,
      max_tool_calls: 2,
      model: 'model-x',
      parallel_tool_calls: false,
      previous_response_id: null,
      prompt_cache_key: 'k',
      reasoning: { effort: 'low', summary: 'auto' },
      safety_identifier: 's',
      service_tier: null,
      store: false,
      temperature: 0.5,
      text: { format: { type: 'text' }, verbosity: 'low' },
      tool_choice: 'required',
      tools: [{ type: 'function', name: 'f', parameters: null, strict: null }],
      top_logprobs: 2,
      top_p: 0.25,
      truncation: 'disabled',
      user: 'u',
      metadata: { a: 'b' },
      access_programs: null,
    });
  });

  it('says why it is not whole, and of which item something is missing', () => {
    const rows: [string, string, { reason: string } | null][] = [
      ['stop', 'completed', null],
      ['tool_calls', 'completed', null],
      ['length', 'incomplete', { reason: 'max_output_tokens' }],
      ['content_filter', 'incomplete', { reason: 'content_filter' }],
      ['from_the_future', 'completed', null],
    ];
    for (const [finish, status, details] of rows) {
      const response = answerTo(ASKED, completion({ content: 'x', tool_calls: [call('a', '{"b')] }, finish));
      assert.equal(response.status, status);
      assert.deepEqual(response.incomplete_details, details);
      assert.deepEqual(
        response.output.map((item) => (item as { status?: string }).status),
        ['completed', status],
      );
      assert.equal((response.output[1] as { arguments?: string }).arguments, '{"b');
    }
  });

  it('does not make a whole call of one that was cut off before its arguments', () => {
    const response = answerTo(ASKED, completion({ tool_calls: [call('a', '')] }, 'length'));
    assert.deepEqual((response.output[0] as { arguments?: string }).arguments, '');
  });

  it('tells a refusal as one', () => {
    const { output } = answerTo(ASKED, completion({ refusal: 'No.' }));
    assert.deepEqual((output[0] as { content?: Json }).content, [{ type: 'refusal', refusal: 'No.' }]);
    const both = answerTo(ASKED, completion({ content: 'Well', refusal: 'No.' }));
    assert.deepEqual(
      (both.output[0] as { content: { type: string }[] }).content.map(({ type }) => type),
      ['output_text', 'refusal'],
    );
  });

  it('has a message with an empty text where there is nothing at all', () => {
    const shapes: JsonObject[] = [
      completion({ content: '' }),
      completion({ content: null }),
      { choices: [] },
      {},
      { choices: 'x' },
      { choices: [5, null] },
      { choices: [{ message: 'x', finish_reason: 5 }] },
      { choices: [{ message: { content: 5, tool_calls: {}, annotations: 'x', thinking_blocks: [5] } }] },
      { choices: [{ message: { tool_calls: [5, null, []] } }] },
    ];
    for (const shape of shapes) {
      const response = answerTo(ASKED, shape);
      assert.equal(response.status, 'completed');
      assert.deepEqual(
        response.output.map((item) => (item as { content?: Json }).content),
        [[{ type: 'output_text', text: '', annotations: [], logprobs: [] }]],
      );
    }
  });

  it('goes by what the request says where a host says nothing', () => {
    const response = answerTo(ASKED, { choices: [] });
    assert.equal(response.model, 'smart');
    assert.equal(response.usage?.total_tokens, 0);
  });

  it('has the thought alone where no word came of it', () => {
    const response = answerTo(ASKED, completion({ reasoning: 'Hm' }, 'length'));
    assert.deepEqual(
      response.output.map(({ type }) => type),
      ['reasoning'],
    );
  });

  it('carries what must be handed back though nothing of the thought is shown', () => {
    const google = (signature: string) => ({ google: { thought_signature: signature } });
    const { output } = answerTo(
      ASKED,
      completion({
        content: 'x',
        tool_calls: [call('a', '{}', { extra_content: google('sa') }), call('b', '{}')],
        extra_content: google('st'),
      }),
    );
    assert.deepEqual(
      output.map(({ type }) => type),
      ['reasoning', 'message', 'function_call', 'function_call'],
    );
    const sealed = openReasoning((output[0] as { encrypted_content?: Json }).encrypted_content);
    assert.deepEqual([...(sealed?.callSignatures ?? [])], [['a', 'sa']]);
    assert.equal(sealed?.textSignature, 'st');
  });

  it('has no citation but of links', () => {
    const cited = { url: 'https://x.test', title: null, start_index: 'x' };
    const { output } = answerTo(
      ASKED,
      completion({
        content: 'x',
        annotations: [
          { type: 'file_citation', url_citation: cited },
          { type: 'url_citation', url_citation: { title: 'no link' } },
          { type: 'url_citation' },
          5,
          { type: 'url_citation', url_citation: cited },
        ],
      }),
    );
    assert.ok(output[0]?.type === 'message' && output[0].content[0]?.type === 'output_text');
    assert.deepEqual(output[0].content[0].annotations, [
      { type: 'url_citation', url: 'https://x.test', title: '', start_index: 0, end_index: 0 },
    ]);
  });

  it('gives each call an id of its own', () => {
    const { output } = answerTo(
      ASKED,
      completion({ tool_calls: [call('a', '{}'), call('a', '{}'), { ...call('', '{}'), id: null }] }),
    );
    const ids = output.map((item) => (item as { call_id?: string }).call_id);
    assert.equal(new Set(ids).size, 3);
    assert.equal(ids[0], 'a');
    assert.ok(ids.every((id) => typeof id === 'string' && id !== ''));
  });

  it('tells how likely each token was', () => {
    const body = completion({ content: 'Hi' });
    const [choice] = body['choices'] as [JsonObject];
    choice['logprobs'] = {
      content: [
        {
          token: 'Hi',
          logprob: -0.1,
          bytes: [72, 105],
          top_logprobs: [{ token: 'Ho', logprob: -3, bytes: null }, 5],
        },
        { token: 5 },
      ],
      refusal: null,
    };
    const { output } = answerTo({ ...ASKED, top_logprobs: 1 }, body);
    assert.ok(output[0]?.type === 'message' && output[0].content[0]?.type === 'output_text');
    assert.deepEqual(output[0].content[0].logprobs, [
      {
        token: 'Hi',
        logprob: -0.1,
        bytes: [72, 105],
        top_logprobs: [{ token: 'Ho', logprob: -3, bytes: [] }],
      },
    ]);
  });

  it('understands content in parts, thoughts among them', () => {
    const { output } = answerTo(
      ASKED,
      completion({
        content: [
          { type: 'thinking', thinking: [{ type: 'text', text: 'Hm.' }] },
          { type: 'text', text: 'Hel' },
          { type: 'text', text: 'lo' },
        ],
      }),
    );
    assert.ok(output[0]?.type === 'reasoning' && output[1]?.type === 'message');
    assert.deepEqual(output[0].summary, [{ type: 'summary_text', text: 'Hm.' }]);
    assert.equal((output[1].content[0] as { text?: string }).text, 'Hello');
  });

  it('is read by the SDK, schemas and functions included', async () => {
    const body = responses.answer(
      completion({ content: '{"n":5}', tool_calls: [call('a', '{"x":1}')] }, 'tool_calls'),
      read(ASKED),
      ID,
    );
    const response = await served([Buffer.from(JSON.stringify(body))], 'application/json', (client) =>
      client.responses.parse({
        model: 'smart',
        input: 'Hi',
        text: { format: { type: 'json_schema', name: 'n', schema: { type: 'object' }, strict: true } },
        tools: [{ type: 'function', name: 'look', parameters: { type: 'object' }, strict: true }],
      }),
    );
    assert.equal(response.output_text, '{"n":5}');
    assert.deepEqual(response.output_parsed, { n: 5 });
    const made = response.output.find((item) => item.type === 'function_call');
    assert.deepEqual(made?.parsed_arguments, { x: 1 });
    assert.equal(response.usage?.total_tokens, USAGE['total_tokens']);
  });
});

describe('an error of the responses API', () => {
  it('has the shape of all of OpenAI', () => {
    const error = { message: 'No.', type: 'invalid_request_error', param: 'input', code: 'invalid_value' };
    assert.deepEqual(responses.error(error, 400, 'req_1'), { error });
  });
});
