import assert from 'node:assert/strict';
import { before, describe, it } from 'node:test';
import fc from 'fast-check';
import { bedrock } from '../../../src/providers/bedrock/adapter.ts';
import { frameDecoder } from '../../../src/providers/bedrock/event-stream.ts';
import { everySplit } from '../kit.ts';
import { exception, frame, frameWith } from './rig.ts';

type Event = [type: string, data: string];

/** What a decoder finds in pieces, and what it said in the end. */
function decode(pieces: Iterable<Buffer>): { events: Event[]; error: string | null } {
  const events: Event[] = [];
  const decoder = frameDecoder({ event: (data, type) => events.push([type, data]) });
  try {
    for (const piece of pieces) decoder.push(piece);
    decoder.end();
    return { events, error: null };
  } catch (error) {
    assert.ok(error instanceof Error);
    return { events, error: error.message };
  }
}

const TEXT = frame('contentBlockDelta', { contentBlockIndex: 0, delta: { text: 'Grüße 😀' } });
const STOP = frame('messageStop', { stopReason: 'end_turn' });
const EVENTS: Event[] = [
  ['contentBlockDelta', '{"contentBlockIndex":0,"delta":{"text":"Grüße 😀"},"p":"abcdefghijk"}'],
  ['messageStop', '{"stopReason":"end_turn","p":"abcdefghijk"}'],
];

describe("AWS's event streams", () => {
  before(async () => {
    await bedrock.load?.();
    await bedrock.load?.();
  });

  it('finds the same events however the bytes are cut', () => {
    const bytes = Buffer.concat([TEXT, STOP]);
    for (const pieces of everySplit(bytes)) assert.deepEqual(decode(pieces), { events: EVENTS, error: null });
  });

  it('finds them in pieces that are buffers of their own, and not changed afterwards', () => {
    const bytes = Buffer.concat([TEXT, STOP]);
    const events: Event[] = [];
    const decoder = frameDecoder({ event: (data, type) => events.push([type, data]) });
    const reused = Buffer.alloc(7);
    for (let at = 0; at < bytes.length; at += reused.length) {
      const length = bytes.copy(reused, 0, at, at + reused.length);
      decoder.push(reused.subarray(0, length));
    }
    decoder.end();
    assert.deepEqual(events, EVENTS);
  });

  it('says what ended in the middle of a frame', () => {
    for (let at = 1; at < TEXT.length; at++) {
      const { events, error } = decode([STOP, TEXT.subarray(0, at)]);
      assert.deepEqual(events, EVENTS.slice(1));
      assert.match(error ?? '', /ended within a frame/);
    }
    assert.deepEqual(decode([]), { events: [], error: null });
    assert.deepEqual(decode([STOP]), { events: EVENTS.slice(1), error: null });
  });

  it('takes no damaged byte for a whole frame, wherever it is', () => {
    for (let at = 0; at < TEXT.length; at++) {
      for (const bit of [1, 128]) {
        const damaged = Buffer.from(TEXT);
        damaged.writeUInt8(damaged.readUInt8(at) ^ bit, at);
        const { events, error } = decode([STOP, damaged, STOP]);
        assert.deepEqual(events, EVENTS.slice(1));
        assert.match(error ?? '', at < 12 ? /wrong checksum/ : /damaged/);
      }
    }
  });

  it('does not wait for a length that was damaged', () => {
    const damaged = Buffer.from(TEXT);
    damaged.writeUInt32BE(0x00ff_ffff, 0);
    assert.match(decode([damaged.subarray(0, 12)]).error ?? '', /wrong checksum/);
  });

  it('refuses lengths that cannot be, though their checksum is right', async () => {
    const { crc32 } = await import('node:zlib');
    for (const [length, headers] of [
      [0, 0],
      [15, 0],
      [0xffff_ffff, 0],
      [26 * 1024 * 1024, 0],
      [100, 85],
      [100, 0xffff_fff0],
    ] as const) {
      const prelude = Buffer.alloc(12);
      prelude.writeUInt32BE(length, 0);
      prelude.writeUInt32BE(headers, 4);
      prelude.writeUInt32BE(crc32(prelude.subarray(0, 8)), 8);
      assert.match(decode([prelude]).error ?? '', /impossible lengths/);
    }
  });

  it('reads nothing from beyond the frame for a header that says it is longer', async () => {
    const { crc32 } = await import('node:zlib');
    const name = Buffer.from(':event-type');
    // A text of 60,000 bytes, of which none is there.
    const header = Buffer.concat([Buffer.from([name.length]), name, Buffer.from([7, 0xea, 0x60])]);
    const bytes = Buffer.alloc(16 + header.length);
    bytes.writeUInt32BE(bytes.length, 0);
    bytes.writeUInt32BE(header.length, 4);
    bytes.writeUInt32BE(crc32(bytes.subarray(0, 8)), 8);
    header.copy(bytes, 12);
    bytes.writeUInt32BE(crc32(bytes.subarray(0, -4)), bytes.length - 4);
    assert.deepEqual(decode([bytes]), { events: [], error: 'a frame of the stream is damaged' });
  });

  it('tells what failed from what came', () => {
    assert.deepEqual(decode([exception('throttlingException', { message: 'Slow down' })]).events, [
      ['failed:throttlingException', '{"message":"Slow down"}'],
    ]);
    const error = frameWith(
      { ':message-type': 'error', ':error-code': 'InternalFailure', ':error-message': 'Oh "no"' },
      '',
    );
    assert.deepEqual(decode([error]).events, [['failed:InternalFailure', '{"message":"Oh \\"no\\""}']]);
    const bare = frameWith({ ':message-type': 'error' }, '');
    assert.deepEqual(decode([bare]).events, [['failed:error', '{"message":""}']]);
  });

  it('refuses frames that do not say what they are', () => {
    for (const headers of [{}, { ':message-type': 'letter' }, { ':event-type': 'messageStop' }] as const) {
      assert.match(decode([frameWith(headers, '{}')]).error ?? '', /does not say what it is/);
    }
    const odd = frameWith({ __proto__: 'x', constructor: 'y', ':message-type': 'event' }, '{}');
    assert.deepEqual(decode([odd]).events, [['', '{}']]);
  });

  it('looks at nothing more when it is told to stop', () => {
    const events: string[] = [];
    const decoder = frameDecoder({
      event(_data, type) {
        events.push(type);
        decoder.stop();
      },
    });
    decoder.push(Buffer.concat([TEXT, STOP, Buffer.from('anything')]));
    decoder.push(Buffer.from('at all, and even what is no frame'));
    decoder.end();
    assert.deepEqual(events, ['contentBlockDelta']);
  });

  it('says of any bytes whether they are frames, and ends', () => {
    const piece = fc.oneof(
      fc.constantFrom(TEXT, STOP, exception('internalServerException', { message: 'x' })),
      fc.uint8Array({ maxLength: 200 }).map((bytes) => Buffer.from(bytes)),
    );
    fc.assert(
      fc.property(fc.array(piece, { maxLength: 8 }), fc.integer({ min: 1, max: 50 }), (pieces, size) => {
        const bytes = Buffer.concat(pieces);
        const cut = Array.from({ length: Math.ceil(bytes.length / size) }, (_, at) =>
          bytes.subarray(at * size, (at + 1) * size),
        );
        const whole = decode([bytes]);
        assert.deepEqual(decode(cut), whole);
        assert.ok(whole.events.every(([type, data]) => typeof type === 'string' && data.startsWith('{')));
      }),
    );
  });
});
