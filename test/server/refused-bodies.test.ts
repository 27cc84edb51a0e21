import assert from 'node:assert/strict';
import { EventEmitter } from 'node:events';
import type { IncomingMessage } from 'node:http';
import { it } from 'node:test';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { readBody } from '../../src/server/body-reader.ts';

setFlagsFromString('--expose-gc');
const collect = runInNewContext('gc') as () => void;

/** Another piece of the body; what is left of it when nobody needs it. */
function comes(request: EventEmitter): WeakRef<Buffer> {
  const piece = Buffer.alloc(1000);
  request.emit('data', piece);
  return new WeakRef(piece);
}

for (const [name, { maxBody, wanted }] of Object.entries({
  'is too large': { maxBody: 2500, wanted: true },
  'there is no room for': { maxBody: 10_000, wanted: false },
})) {
  it(`nothing is kept of a body that ${name}, though its rest still comes`, async () => {
    const request = new EventEmitter();
    const told: string[] = [];
    readBody(request as IncomingMessage, 0, 'it', {
      maxBody,
      whole: () => void told.push('whole'),
      longer: (_, bytes) => wanted || bytes < 5000,
      tooLarge: () => void told.push('too large'),
      failed: () => void told.push('failed'),
    });
    const pieces = [comes(request), comes(request), comes(request)];
    for (let turn = 0; turn < 50 && pieces.some((piece) => piece.deref() !== undefined); turn++) {
      await nextTurn();
      collect();
    }
    assert.deepEqual(
      pieces.map((piece) => piece.deref()),
      [undefined, undefined, undefined],
    );
    request.emit('end');
    assert.deepEqual(told, wanted ? ['too large'] : []);
  });
}
