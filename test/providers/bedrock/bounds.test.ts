import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { JsonObject } from '../../../src/core/json.ts';
import { Unsupported } from '../../../src/providers/adapter.ts';
import { CLAUDE, LLAMA, NOVA, prepare } from './rig.ts';

/** Bytes: 3.75 MB and 4.5 MB. */
const IMAGE = 3_932_160;
const DOCUMENT = 4_718_592;
const DOCX = 'application/vnd.openxmlformats-officedocument.wordprocessingml.document';

const encoded = (size: number) => Buffer.alloc(size).toString('base64');
const image = (data = 'AAAA'): JsonObject => ({
  type: 'image_url',
  image_url: { url: `data:image/png;base64,${data}` },
});
const file = (type = 'application/pdf', data = 'AAAA'): JsonObject => ({
  type: 'file',
  file: { file_data: `data:${type};base64,${data}` },
});
const user = (...content: JsonObject[]): JsonObject => ({ role: 'user', content });

/** The part that cannot be sent; null: all can. */
function refused(messages: JsonObject[], model = CLAUDE): string | null {
  try {
    prepare({ messages }, { model });
    return null;
  } catch (error) {
    assert.ok(error instanceof Unsupported, String(error));
    assert.match(error.message, /^[A-Z].*\.$/);
    return error.param;
  }
}

describe('What is more than Converse takes is refused, by its part', () => {
  it('twenty images in a message', () => {
    const twenty = Array.from({ length: 20 }, () => image());
    assert.equal(refused([user(...twenty)]), null);
    assert.equal(refused([user(...twenty, image())]), 'messages[0].content[20]');
    const more = [user(...twenty), { role: 'assistant', content: 'Yes' }, user(...twenty)];
    assert.equal(refused(more), null);
    // The two are sent as one message.
    assert.equal(refused([user(...twenty), user(image())]), 'messages[1].content[0]');
  });

  it('images of 3.75 MB', () => {
    assert.equal(refused([user(image(encoded(IMAGE)))]), null);
    assert.equal(refused([user(image(), image(encoded(IMAGE + 1)))]), 'messages[0].content[1]');
    assert.equal(refused([user(file('image/png', encoded(IMAGE + 1)))]), 'messages[0].content[0]');
  });

  it('five documents in a request', () => {
    const turns = (count: number) =>
      Array.from({ length: count }, () => [user(file()), { role: 'assistant', content: 'Yes' }]).flat();
    const last = { role: 'user', content: 'And?' };
    assert.equal(refused([...turns(5), last]), null);
    assert.equal(refused([...turns(6), last]), 'messages[10].content[0]');
  });

  it('documents of 4.5 MB, but for those that a model takes larger', () => {
    const fits = encoded(DOCUMENT);
    const large = encoded(DOCUMENT + 1);
    const sonnet3 = 'anthropic.claude-3-5-sonnet-20241022-v2:0';
    const rows: [type: string, model: string, isTaken: boolean][] = [
      ['text/plain', CLAUDE, false],
      [DOCX, CLAUDE, false],
      ['application/pdf', CLAUDE, true],
      ['application/pdf', sonnet3, false],
      ['application/pdf', NOVA, true],
      [DOCX, NOVA, true],
      ['text/csv', NOVA, false],
      ['application/pdf', LLAMA, false],
    ];
    for (const [type, model, isTaken] of rows) {
      assert.equal(refused([user(file(type, fits))], model), null, `${type} ${model}`);
      const expected = isTaken ? null : 'messages[0].content[0]';
      assert.equal(refused([user(file(type, large))], model), expected, `${type} ${model}`);
    }
  });

  it('nothing of what lies in S3, whose size nobody knows', () => {
    assert.equal(refused([user({ type: 'image_url', image_url: { url: 's3://b/a.png' } })]), null);
  });
});
