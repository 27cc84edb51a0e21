import assert from 'node:assert/strict';
import { ServerResponse } from 'node:http';
import { describe, it } from 'node:test';
import { addHeaders, headerIn, keptHeaders } from '../../src/pipeline/header-list.ts';

const HEADERS = ['content-type', 'text/plain', 'x-a', 'content-type', 'x-b', '2'];

describe('the headers of an answer', () => {
  it('are found by their names, never by what another one says', () => {
    assert.equal(headerIn(HEADERS, 'x-b'), '2');
    assert.equal(headerIn(HEADERS, 'content-type'), 'text/plain');
    assert.equal(headerIn(HEADERS, '2'), null);
    assert.equal(headerIn([], 'x-b'), null);
  });

  it('are kept by name, and added again to those of another answer', () => {
    const kept = keptHeaders(HEADERS, (name) => name.startsWith('x-'));
    assert.deepEqual(kept, { 'x-a': 'content-type', 'x-b': '2' });
    const others = ['x-request-id', 'r'];
    addHeaders(others, kept, (name) => name !== 'x-a');
    assert.deepEqual(others, ['x-request-id', 'r', 'x-b', '2']);
  });

  it('cannot bring others with them: Node looks at each of a list', () => {
    const request = { method: 'GET', httpVersionMajor: 1, httpVersionMinor: 1 };
    for (const headers of [
      ['x-a', '1\r\nx-b: 2'],
      ['x-a: 1\r\nx-b', '2'],
    ]) {
      const response = new ServerResponse(request as ConstructorParameters<typeof ServerResponse>[0]);
      assert.throws(() => response.writeHead(200, headers), TypeError);
    }
  });
});
