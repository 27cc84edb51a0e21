import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { dataUrl } from '../../src/media/data-url.ts';
import { turnsDuring } from '../support/turns.ts';

const STEP = 3 * 256 * 1024;

function bytesOf(length: number): Buffer {
  return Buffer.from(Array.from({ length }, (_, index) => (index * 7) % 251));
}

describe('a file as a URL that holds it', () => {
  for (const length of [0, 1, 2, 3, 4, STEP - 1, STEP, STEP + 1, 2 * STEP + 2]) {
    it(`is its base64, in one step or several: ${length} bytes`, async () => {
      const bytes = bytesOf(length);
      assert.equal(await dataUrl('image/png', bytes), `data:image/png;base64,${bytes.toString('base64')}`);
    });
  }

  it('lets others have their turn while it is made of a large one', async () => {
    const turns = await turnsDuring(() => dataUrl('image/png', Buffer.alloc(8 * STEP)));
    assert.ok(turns >= 7, `${turns} turns`);
  });
});
