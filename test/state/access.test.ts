import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { addressOf, parseRedisUrl, parseSentinel, placeFrom } from '../../src/state/access.ts';

const PLAIN = { host: 'r', port: 6379, username: null, password: null, database: 0, tls: false };

describe('the URL of a Redis', () => {
  it('says host, port, user, password, database and TLS', () => {
    assert.deepEqual(parseRedisUrl('redis://r'), PLAIN);
    assert.deepEqual(parseRedisUrl('rediss://ann:p%40ss%2F%3A@r:7000/3'), {
      host: 'r',
      port: 7000,
      username: 'ann',
      password: 'p@ss/:',
      database: 3,
      tls: true,
    });
    assert.deepEqual(parseRedisUrl('redis://:secret@r/'), { ...PLAIN, password: 'secret' });
    assert.deepEqual(parseRedisUrl('redis://[::1]:7000'), { ...PLAIN, host: '::1', port: 7000 });
  });

  it('is refused without being repeated', () => {
    for (const text of [
      'http://ann:secret@r',
      'secret',
      'redis://ann:secret@r/x',
      'redis://ann:secret@',
      '',
    ]) {
      assert.throws(
        () => parseRedisUrl(text),
        (error: Error) => error instanceof RangeError && !error.message.includes('secret'),
      );
    }
  });

  it('of a sentinel may be an address, and has another port', () => {
    assert.deepEqual(parseSentinel('r'), { ...PLAIN, port: 26379 });
    assert.deepEqual(parseSentinel('[::1]:7000'), { ...PLAIN, host: '::1', port: 7000 });
    assert.deepEqual(parseSentinel('rediss://:x@r'), { ...PLAIN, port: 26379, password: 'x', tls: true });
  });
});

describe('an address that a node of a cluster writes', () => {
  const writer = { host: '10.0.0.1', port: 7000 };

  it('is taken as it stands, or relative to who wrote it', () => {
    assert.deepEqual(placeFrom('10.0.0.2:7001', writer), { host: '10.0.0.2', port: 7001 });
    assert.deepEqual(placeFrom('::1:7001', writer), { host: '::1', port: 7001 });
    assert.deepEqual(placeFrom(':7001', writer), { host: '10.0.0.1', port: 7001 });
    assert.deepEqual(placeFrom('?:7001', writer), { host: '10.0.0.1', port: 7001 });
  });

  it('is nothing where it makes no sense', () => {
    for (const text of ['', 'host', 'host:', 'host:0', 'host:x', 'host:70000']) {
      assert.equal(placeFrom(text, writer), null, text);
    }
  });

  it('is written for people as in a URL', () => {
    assert.equal(addressOf({ host: '::1', port: 1 }), '[::1]:1');
    assert.equal(addressOf({ host: 'r', port: 1 }), 'r:1');
  });
});
