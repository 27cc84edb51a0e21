import assert from 'node:assert/strict';
import { it } from 'node:test';
import { Cancellation } from '../../src/core/cancellation.ts';
import { shuttingDown } from '../../src/core/errors.ts';
import type { Exchange } from '../../src/pipeline/exchange.ts';
import { refuseRequest } from '../../src/pipeline/serve.ts';
import type { Services } from '../../src/pipeline/services.ts';

it('a request whose refusal cannot be sent is in the books all the same', () => {
  const exchange = {
    requestId: 'r',
    dialect: 'chat',
    principal: null,
    startedAt: 1000,
    readAt: 1000,
    cancellation: new Cancellation(),
    send: () => assert.fail('the socket is not what it was'),
  } as unknown as Exchange;
  const closed: { id: string; status: number }[] = [];
  const book = { close: ({ id, status }: { id: string; status: number }) => closed.push({ id, status }) };
  const services = { book } as unknown as Services;
  assert.throws(
    () => refuseRequest(exchange, services, shuttingDown(), false),
    /the socket is not what it was/,
  );
  assert.deepEqual(closed, [{ id: 'r', status: 503 }]);
});
