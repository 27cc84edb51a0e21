import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { type MediaKind, typed } from '../../src/media/media-types.ts';

const bytes = (start: string, rest = '\x01\x02\x00\xfe') => Buffer.from(`${start}${rest}`, 'latin1');
const typeOf = (body: Buffer | string, contentType: string, kind: MediaKind = 'file') =>
  typed(typeof body === 'string' ? Buffer.from(body) : body, contentType, kind)?.mediaType ?? null;

const IMAGES: [string, string][] = [
  ['image/png', '\x89PNG\r\n\x1a\n'],
  ['image/jpeg', '\xff\xd8\xff'],
  ['image/gif', 'GIF87a'],
  ['image/gif', 'GIF89a'],
  ['image/webp', 'RIFF1234WEBP'],
  ['image/avif', '\0\0\0\x20ftypavif'],
  ['image/heic', '\0\0\0\x20ftypheic'],
  ['image/heif', '\0\0\0\x20ftypmif1'],
];
const SOUNDS: [string, string][] = [
  ['audio/wav', 'RIFF1234WAVE'],
  ['audio/mp3', 'ID3'],
  ['audio/ogg', 'OggS'],
  ['audio/flac', 'fLaC'],
  ['audio/mp4', '\0\0\0\x20ftypM4A'],
];

describe('the type of what was fetched', () => {
  it('is by its bytes, whatever the host says', () => {
    for (const [type, start] of IMAGES) {
      for (const said of [type, 'image/png', 'text/html', 'application/pdf', '']) {
        assert.equal(typeOf(bytes(start), said, 'image'), type);
        assert.equal(typeOf(bytes(start), said), type);
      }
    }
    for (const [type, start] of SOUNDS) {
      assert.equal(typeOf(bytes(start), 'text/plain'), type);
      assert.equal(typeOf(bytes(start), type, 'image'), null);
    }
    assert.equal(typeOf(bytes('%PDF-1.7'), 'text/html; charset=utf-8'), 'application/pdf');
    assert.equal(typeOf(bytes(`${' '.repeat(1019)}%PDF-`), ''), 'application/pdf');
    assert.equal(typeOf(bytes(`${' '.repeat(1020)}%PDF-`), 'application/pdf'), null);
    assert.equal(typeOf(bytes('%PDF-1.7'), 'image/png', 'image'), null);
  });

  it('is none where the host lies about what cannot be mistaken', () => {
    assert.equal(typeOf('<html>', 'image/png', 'image'), null);
    assert.equal(typeOf('<svg xmlns="http://www.w3.org/2000/svg"/>', 'image/svg+xml', 'image'), null);
    assert.equal(typeOf('', 'image/png', 'image'), null);
    assert.equal(typeOf(bytes('RIFF1234AVI '), 'image/webp', 'image'), null);
    for (const type of [
      'image/png',
      'application/pdf',
      'audio/wav',
      'audio/mpeg',
      'video/mp4',
      'application/zip',
    ]) {
      assert.equal(typeOf('<html>', type), null, type);
    }
  });

  it('of a text is what the host says, if it is one', () => {
    assert.equal(typeOf('a,b', 'text/csv; charset=utf-8'), 'text/csv');
    assert.equal(typeOf('<p>', 'TEXT/HTML'), 'text/html');
    assert.equal(typeOf('{}', 'application/json'), 'application/json');
    assert.equal(typeOf('hello', ''), 'text/plain');
    assert.equal(typeOf('hello', 'application/octet-stream'), 'text/plain');
    assert.equal(typeOf('hello', 'text/plain', 'image'), null);
    assert.equal(typeOf('a\0b', 'text/plain'), null);
    assert.equal(typeOf('', 'text/plain'), null);
    assert.equal(typeOf(bytes('\xff'), 'text/plain'), null);
    assert.equal(typeOf(bytes('\xff'), ''), null);
    assert.equal(typeOf('x', 'text/x,base64;"'), null);
  });

  it('of a text in another charset is the same, in UTF-8', () => {
    const latin = Buffer.from('caf\xe9', 'latin1');
    assert.equal(typed(latin, 'text/plain; charset="ISO-8859-1"', 'file')?.bytes.toString(), 'café');
    assert.equal(
      typed(Buffer.from('café'), 'text/plain; charset=iso-8859-1', 'file')?.bytes.toString(),
      'café',
    );
    assert.equal(typeOf(latin, 'text/plain; charset=none-such'), null);
    assert.equal(typeOf(latin, 'text/plain; charset=utf-8'), null);
    assert.equal(typeOf(latin, 'application/octet-stream; charset=iso-8859-1'), null);
  });

  it('of MP3 without a tag, and of what Office writes, needs both', () => {
    for (const start of ['\xff\xfb', '\xff\xf3', '\xff\xf2']) {
      assert.equal(typeOf(bytes(start), 'audio/mpeg'), 'audio/mp3');
      assert.equal(typeOf(bytes(start), 'text/plain'), null);
    }
    const word = 'application/vnd.openxmlformats-officedocument.wordprocessingml.document';
    assert.equal(typeOf(bytes('PK\x03\x04'), word), word);
    assert.equal(typeOf('<html>', word), null);
    assert.equal(typeOf(bytes('PK\x03\x04'), 'application/zip'), null);
  });
});
