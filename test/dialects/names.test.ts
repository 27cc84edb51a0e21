import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { JsonObject } from '../../src/core/json.ts';
import { DIALECTS } from '../../src/dialects/dialects.ts';

function namer(dialect: 'messages' | 'responses', body: JsonObject) {
  const request = DIALECTS[dialect].read(Buffer.from(JSON.stringify({ model: 'm', ...body })));
  return (param: string) => request.name?.(param);
}

const hello = { role: 'user', content: 'Hi' };
const tools = [{ type: 'function', name: 'look', parameters: {}, strict: true }];

describe('a parameter of a chat, as a client of the responses API calls it', () => {
  it('is what the client sent, or nothing', () => {
    const name = namer('responses', {
      input: 'Hi',
      tools,
      text: { format: { type: 'json_object' }, verbosity: 'low' },
      reasoning: { effort: 'high' },
      max_output_tokens: 5,
      top_logprobs: 2,
      temperature: 1,
    });
    const names: [string, string | null][] = [
      ['response_format', 'text.format'],
      ['verbosity', 'text.verbosity'],
      ['reasoning_effort', 'reasoning.effort'],
      ['max_tokens', 'max_output_tokens'],
      ['max_completion_tokens', 'max_output_tokens'],
      ['logprobs', 'top_logprobs'],
      ['top_logprobs', 'top_logprobs'],
      ['temperature', 'temperature'],
      ['tools[0].function.strict', 'tools[0].strict'],
      ['cache_control', 'cache_control'],
      ['image_url.detail', 'detail'],
      ['seed', null],
      ['stream_options', null],
      ['constructor', null],
      ['__proto__', null],
    ];
    for (const [param, expected] of names) assert.equal(name(param), expected, param);
    const other = namer('responses', { input: 'Hi', include: ['message.output_text.logprobs'], text: {} });
    assert.equal(other('logprobs'), 'include');
    assert.equal(other('response_format'), null);
    assert.equal(other('reasoning_effort'), null);
  });

  it('names the item that a message was, where each item is one', () => {
    const plain = namer('responses', { input: 'Hi', instructions: 'Be brief.' });
    assert.equal(plain('messages'), 'input');
    assert.equal(plain('messages[0].content'), 'instructions');
    assert.equal(plain('messages[1].content[0]'), 'input');
    const items = namer('responses', { input: [hello, hello], instructions: 'Be brief.' });
    assert.equal(items('messages[2].content[0]'), 'input[1]');
    assert.equal(items('messages[3]'), 'input');
    const text = (words: string) => ({ type: 'input_text', text: words });
    const parts = namer('responses', { input: [{ role: 'user', content: [text('a'), text('b')] }] });
    assert.equal(parts('messages[0].content[1]'), 'input[0].content[1]');
    assert.equal(namer('responses', { input: [hello] })('messages[0]'), 'input[0]');
    const call = { type: 'function_call', call_id: 'c', name: 'look', arguments: '{}' };
    const output = { type: 'function_call_output', call_id: 'c', output: 'x' };
    // Two items of the assistant's are one message.
    const merged = namer('responses', { input: [hello, { role: 'assistant', content: 'So' }, call, output] });
    assert.equal(merged('messages[2]'), 'input');
  });
});

describe("a parameter of a chat, as a client of Anthropic's calls it", () => {
  it('is what the client sent, or nothing', () => {
    const more = {
      max_tokens: 9000,
      metadata: { user_id: 'me' },
      stop_sequences: ['a'],
      output_config: { format: { type: 'json_schema', schema: {} } },
      tool_choice: { type: 'auto', disable_parallel_tool_use: true },
      tools: [{ name: 'look', input_schema: {} }],
    };
    const name = namer('messages', { ...more, messages: [hello], thinking: { type: 'adaptive' } });
    const names: [string, string | null][] = [
      ['reasoning_effort', 'thinking'],
      ['user', 'metadata.user_id'],
      ['safety_identifier', 'metadata.user_id'],
      ['stop', 'stop_sequences'],
      ['response_format', 'output_config.format'],
      ['max_completion_tokens', 'max_tokens'],
      ['parallel_tool_calls', 'tool_choice.disable_parallel_tool_use'],
      ['tools[0].function.strict', 'tools[0].strict'],
      ['cache_control', 'cache_control'],
      ['temperature', null],
      ['image_url.detail', null],
    ];
    for (const [param, expected] of names) assert.equal(name(param), expected, param);
    const other = namer('messages', {
      max_tokens: 9000,
      messages: [hello],
      thinking: { type: 'adaptive' },
      output_config: { effort: 'max' },
      output_format: { type: 'json_schema', schema: {} },
    });
    assert.equal(other('reasoning_effort'), 'output_config.effort');
    assert.equal(other('response_format'), 'output_format');
    assert.equal(other('user'), null);
  });

  it('names the message, where each is still one', () => {
    const most = { max_tokens: 10 };
    const plain = namer('messages', { ...most, messages: [hello, hello] });
    assert.equal(plain('messages[0].content'), 'messages[0]');
    assert.equal(plain('messages[1]'), 'messages[1]');
    const texts = (...words: string[]) => words.map((text) => ({ type: 'text', text }));
    const parts = namer('messages', { ...most, messages: [{ role: 'user', content: texts('a', 'b') }] });
    assert.equal(parts('messages[0].content[1]'), 'messages[0].content[1]');
    const fewer = namer('messages', { ...most, messages: [{ role: 'user', content: texts('', 'b', 'c') }] });
    assert.equal(fewer('messages[0].content[1]'), 'messages[0]');
    const system = namer('messages', { ...most, system: 'Be brief.', messages: [hello, hello] });
    assert.equal(system('messages[0].content'), 'system');
    assert.equal(system('messages[2].content[0]'), 'messages[1]');
    assert.equal(system('messages'), 'messages');
    const call = { role: 'assistant', content: [{ type: 'tool_use', id: 'c', name: 'look', input: {} }] };
    const result = { type: 'tool_result', tool_use_id: 'c', content: 'x' };
    const split = { role: 'user', content: [result, { type: 'text', text: 'Well?' }] };
    assert.equal(namer('messages', { ...most, messages: [hello, call, split] })('messages[3]'), 'messages');
    const later = { role: 'system', content: [] };
    const none = namer('messages', { ...most, messages: [hello, call, split, later] });
    assert.equal(none('messages[3]'), 'messages');
  });
});
