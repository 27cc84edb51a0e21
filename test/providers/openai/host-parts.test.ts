import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Unsupported } from '../../../src/chat/unsupported.ts';
import { hostParts } from '../../../src/providers/openai/host-parts.ts';

const text = (said: string) => ({ type: 'text', text: said });
const picture = { type: 'image_url', image_url: { url: 'data:image/png;base64,AAAA' } };
const pdf = { type: 'file', file: { filename: 'a.pdf', file_data: 'data:application/pdf;base64,AAAA' } };

function textFile(said: string, filename?: string) {
  const data = `data:text/plain;base64,${Buffer.from(said).toString('base64')}`;
  return { type: 'file', file: { ...(filename === undefined ? {} : { filename }), file_data: data } };
}

test('what OpenAI has a place for stays as it is', () => {
  const messages = [
    { role: 'user', content: [text('See'), picture, pdf] },
    { role: 'assistant', content: null, tool_calls: [] },
    { role: 'tool', tool_call_id: 'a', content: [text('b')] },
    { role: 'tool', tool_call_id: 'a', content: 'b' },
    'odd',
    { role: 'user', content: [{ type: 'file', file: { file_id: 'f' } }, { type: 'file' }, null] },
  ];
  assert.equal(hostParts(messages), null);
});

test('what tools show is shown by the user, after the answers of all of them', () => {
  const call = { role: 'assistant', content: null, tool_calls: [] };
  const messages = [
    call,
    { role: 'tool', tool_call_id: 'a', content: [text('A map'), picture] },
    { role: 'tool', tool_call_id: 'b', content: [pdf], is_error: true },
    { role: 'tool', tool_call_id: 'c', content: 'nothing' },
    { role: 'user', content: 'So?' },
    call,
    { role: 'tool', tool_call_id: 'd', content: [picture] },
    call,
    { role: 'tool', tool_call_id: 'e', content: [picture] },
  ];
  const below = 'What it shows is in the next message.';
  assert.deepEqual(hostParts(messages), [
    call,
    { role: 'tool', tool_call_id: 'a', content: [text('A map')] },
    { role: 'tool', tool_call_id: 'b', content: below, is_error: true },
    { role: 'tool', tool_call_id: 'c', content: 'nothing' },
    {
      role: 'user',
      content: [
        text('Shown by the tool call a:'),
        picture,
        text('Shown by the tool call b:'),
        pdf,
        text('So?'),
      ],
    },
    call,
    { role: 'tool', tool_call_id: 'd', content: below },
    { role: 'user', content: [text('Shown by the tool call d:'), picture] },
    call,
    { role: 'tool', tool_call_id: 'e', content: below },
    { role: 'user', content: [text('Shown by the tool call e:'), picture] },
  ]);
});

test('a file of text is that text, under its name', () => {
  const messages = [
    {
      role: 'user',
      content: [textFile('one – 1', 'List'), { ...textFile('two'), cache_control: { type: 'ephemeral' } }],
    },
    { role: 'tool', tool_call_id: 'a', content: [textFile('three')] },
  ];
  assert.deepEqual(hostParts(messages), [
    {
      role: 'user',
      content: [text('List\n\none – 1'), { ...text('two'), cache_control: { type: 'ephemeral' } }],
    },
    { role: 'tool', tool_call_id: 'a', content: [text('three')] },
  ]);
});

test('what cannot be put otherwise is named where it stands', () => {
  const why = (part: object) => {
    try {
      hostParts([{ role: 'user', content: 'a' }, { role: 'user', content: [text('b'), part] } as never]);
    } catch (error) {
      assert.ok(error instanceof Unsupported);
      return error.param;
    }
    throw new Error('it was taken');
  };
  assert.equal(why({ type: 'file', file: { file_url: 'https://a.b/c.pdf' } }), 'messages[1].content[1]');
  assert.equal(
    why({ type: 'file', file: { file_data: 'data:text/plain;base64,/w==' } }),
    'messages[1].content[1]',
  );
});
