import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { Messages } from '@anthropic-ai/sdk/resources/messages/messages';
import type { JsonObject } from '../../../src/core/json.ts';
import { anthropic } from '../../../src/providers/anthropic/adapter.ts';
import { askFor, completionOf, fixedFacts, plain } from '../kit.ts';
import { link, message, RECORDED, toolUse, USER } from './kit.ts';

const prepared = anthropic.prepare(askFor({ model: 'any', messages: [USER] }));

function answerTo(whole: Messages.Message): JsonObject {
  return completionOf(prepared, whole as unknown as JsonObject);
}

function choiceOf(whole: Messages.Message): JsonObject {
  const [choice] = answerTo(whole)['choices'] as JsonObject[];
  assert.ok(choice !== undefined);
  return choice;
}

const TEXT: Messages.TextBlock = { type: 'text', text: 'Hi', citations: null };

describe('A whole message', () => {
  it('becomes a chat completion', () => {
    const recorded = RECORDED['thoughts and parallel calls'];
    assert.ok(recorded !== undefined);
    const facts = fixedFacts();
    const blocks = [
      { type: 'thinking', thinking: 'Two cities, two calls.', signature: 'EqQBCgIYAhIM1gbcDa9GJwZA2b3h' },
      { type: 'redacted_thinking', data: 'EmwKAhgBEgy3va3pzix' },
    ];
    const call = (id: string, name: string, text: string) => ({
      id,
      type: 'function',
      function: { name, arguments: text },
    });
    assert.deepEqual(completionOf(prepared, recorded.whole as unknown as JsonObject, facts), {
      id: 'chatcmpl-fixed',
      object: 'chat.completion',
      created: 1_790_000_000,
      model: 'claude-opus-5-5',
      service_tier: 'default',
      choices: [
        {
          index: 0,
          message: {
            role: 'assistant',
            content: 'Let me see.',
            refusal: null,
            reasoning_content: 'Two cities, two calls.',
            thinking_blocks: blocks,
            tool_calls: [
              call('toolu_01', 'weather', '{"city":"Zürich"}'),
              call('toolu_02', 'weather', '{"city":"Bern","days":3}'),
              call('toolu_03', 'clock', '{}'),
            ],
          },
          logprobs: null,
          finish_reason: 'tool_calls',
        },
      ],
      usage: {
        prompt_tokens: 1320,
        completion_tokens: 90,
        total_tokens: 1410,
        prompt_tokens_details: { cached_tokens: 1000, cache_write_tokens: 300, cache_write_1h_tokens: 200 },
        completion_tokens_details: { reasoning_tokens: 40 },
      },
    });
    assert.deepEqual(facts.remembered, [
      {
        callIds: ['toolu_01', 'toolu_02', 'toolu_03'],
        what: { thinkingBlocks: blocks, thoughtSignatures: {} },
      },
    ]);
  });

  const finishes: [Messages.StopReason | 'something_new', Messages.ContentBlock[], string][] = [
    ['end_turn', [TEXT], 'stop'],
    ['stop_sequence', [TEXT], 'stop'],
    ['pause_turn', [TEXT], 'stop'],
    ['pause_turn', [toolUse('a', 'f')], 'stop'],
    ['max_tokens', [TEXT], 'length'],
    ['model_context_window_exceeded', [TEXT], 'length'],
    ['tool_use', [toolUse('a', 'f')], 'tool_calls'],
    ['tool_use', [TEXT], 'stop'],
    ['refusal', [], 'content_filter'],
    ['something_new', [TEXT], 'stop'],
    ['something_new', [toolUse('a', 'f')], 'tool_calls'],
    ['max_tokens', [toolUse('a', 'f')], 'length'],
  ];
  for (const [reason, content, finish] of finishes) {
    it(`that stops for ${reason} with ${content[0]?.type ?? 'nothing'} finishes with ${finish}`, () => {
      const whole = message(content, { stop_reason: reason as Messages.StopReason });
      assert.equal(choiceOf(whole)['finish_reason'], finish);
    });
  }

  it('says why it was refused', () => {
    const details = { type: 'refusal', category: 'bio', explanation: 'No.' } as const;
    const refused = choiceOf(message([], { stop_reason: 'refusal', stop_details: details }));
    assert.deepEqual(refused['message'], { role: 'assistant', content: null, refusal: 'No.' });
    const silent = choiceOf(
      message([], { stop_reason: 'refusal', stop_details: { ...details, explanation: null } }),
    );
    assert.equal((silent['message'] as JsonObject)['refusal'], null);
    const ended = choiceOf(message([TEXT], { stop_details: details }));
    assert.equal((ended['message'] as JsonObject)['refusal'], null);
  });

  it('cites links with the text that rests on them, and leaves documents out', () => {
    const page: Messages.CitationPageLocation = {
      type: 'page_location',
      cited_text: 'x',
      document_index: 0,
      document_title: null,
      end_page_number: 2,
      start_page_number: 1,
      file_id: null,
    };
    const choice = choiceOf(
      message([TEXT, { type: 'text', text: 'So it is', citations: [page, link('https://a.test/', null)] }]),
    );
    assert.deepEqual((choice['message'] as JsonObject)['annotations'], [
      {
        type: 'url_citation',
        url_citation: { url: 'https://a.test/', title: 'https://a.test/', start_index: 2, end_index: 10 },
      },
    ]);
  });

  it('names the tier that served it as OpenAI does', () => {
    const { usage } = message([]);
    const tier = (service_tier: Messages.Usage['service_tier']) =>
      answerTo(message([TEXT], { usage: { ...usage, service_tier } }))['service_tier'];
    assert.equal(tier('priority'), 'priority');
    assert.equal(tier('standard'), 'default');
    assert.equal(tier('batch'), undefined);
    assert.equal(tier(null), undefined);
  });

  it('reports what it took, for quotas and for the client alike', () => {
    const reading = plain(prepared, message([TEXT]) as unknown as JsonObject);
    assert.equal(reading.kind, 'answer');
    if (reading.kind !== 'answer') return;
    assert.deepEqual(reading.usage, {
      input: 1320,
      output: 90,
      cached: 1000,
      cacheWrite: 300,
      cacheWriteHour: 200,
      reasoning: 40,
    });
    assert.deepEqual(reading.output(), { characters: 2, reasoning: 0 });
  });

  it('believes no nonsense about tokens', () => {
    const usage = {
      input_tokens: -5,
      cache_read_input_tokens: 'many',
      cache_creation_input_tokens: 10,
      cache_creation: { ephemeral_1h_input_tokens: 90 },
      output_tokens: 5,
      output_tokens_details: { thinking_tokens: 1e300 },
    };
    const reading = plain(prepared, { ...message([TEXT]), usage } as unknown as JsonObject);
    assert.deepEqual(reading.kind === 'answer' && reading.usage, {
      input: 10,
      output: 5,
      cached: 0,
      cacheWrite: 10,
      cacheWriteHour: 10,
      reasoning: 0,
    });
    const thoughtful = { ...usage, output_tokens_details: { thinking_tokens: 90 } };
    const more = plain(prepared, { ...message([TEXT]), usage: thoughtful } as unknown as JsonObject);
    assert.equal(more.kind === 'answer' && more.usage?.reasoning, 5);
    const silent = plain(prepared, { ...message([TEXT]), usage: null } as unknown as JsonObject);
    assert.equal(silent.kind === 'answer' && silent.usage, null);
  });

  it('is an error where it is one, whole', () => {
    const error = { type: 'error', error: { type: 'api_error', message: 'no' }, request_id: 'req_1' };
    assert.deepEqual(plain(prepared, error), { kind: 'error', error });
    assert.deepEqual(plain(prepared, { error: 'no' }), { kind: 'error', error: { error: 'no' } });
  });

  it('is broken without content, without a reason to stop, or with a damaged block', () => {
    const good = message([TEXT]) as unknown as JsonObject;
    const bad: JsonObject[] = [
      {},
      { ...good, content: 'Hi' },
      { ...good, stop_reason: null },
      { ...good, stop_reason: '' },
      { ...good, content: ['Hi'] },
      { ...good, content: [{ text: 'Hi' }] },
      { ...good, content: [{ type: 'tool_use', id: 'a' }] },
    ];
    for (const value of bad) assert.equal(plain(prepared, value).kind, 'broken', JSON.stringify(value));
  });

  it('is broken by an input that is nested too deeply to be printed', () => {
    const input = JSON.parse(`${'{"a":'.repeat(200_000)}1${'}'.repeat(200_000)}`);
    const value = { ...message([]), content: [{ type: 'tool_use', id: 'a', name: 'f', input }] };
    const reader = prepared.answer(fixedFacts());
    assert.equal(reader.plain(value as unknown as JsonObject, Buffer.from('{}'), {}).kind, 'broken');
    const relayed = anthropic.prepare(
      askFor({ model: 'any', max_tokens: 1, messages: [USER] }, { dialect: 'messages' }),
    );
    const reading = relayed.answer(fixedFacts()).plain(value as unknown as JsonObject, Buffer.from('{}'), {});
    assert.deepEqual(reading.kind === 'answer' && reading.output(), { characters: 1, reasoning: 0 });
  });

  it('shows text and links of tools that Anthropic runs, and no more', () => {
    const recorded = RECORDED["Anthropic's own search, and a pause"];
    assert.ok(recorded !== undefined);
    assert.deepEqual(choiceOf(recorded.whole)['message'], {
      role: 'assistant',
      content: 'Found.',
      refusal: null,
    });
  });
});
