import assert from 'node:assert/strict';
import { it } from 'node:test';
import { type Clock, systemClock } from '../../src/core/clock.ts';
import { startGateway } from '../support/gateway.ts';
import { chatAnswer, startUpstream } from '../support/upstream.ts';

it('a request that cannot be settled is in the books all the same, and its answer is given again', async (t) => {
  let isOutOfOrder = false;
  const clock: Clock = {
    now: () => systemClock.now(),
    schedule: (ms, fn) => systemClock.schedule(ms, fn),
    wall: () => {
      if (!isOutOfOrder) return systemClock.wall();
      isOutOfOrder = false;
      throw new Error('the clock is out of order');
    },
  };
  const upstream = await startUpstream();
  t.after(() => upstream.close());
  const gateway = await startGateway(
    {
      providers: { a: { adapter: 'openai', base_url: upstream.url, api_key: 'key' } },
      models: { m: { provider: 'a', model: 'up' } },
    },
    { clock },
  );
  t.after(() => gateway.close());
  upstream.reply(() => {
    // Who asks for the time next is the one who settles.
    isOutOfOrder = true;
    return chatAnswer();
  });
  const ask = async () => {
    const response = await gateway.chat({}, { 'idempotency-key': 'one' });
    return { again: response.headers.get('x-spillway-replayed'), text: await response.text() };
  };

  const first = await ask();
  const second = await ask();

  assert.equal(first.again, null);
  assert.deepEqual(second, { again: 'true', text: first.text });
  const mistakes = gateway.logs.filter(({ message }) => message === 'a mistake of the gateway');
  assert.deepEqual(
    mistakes.map(({ fields }) => (fields['err'] as Error).message),
    ['the clock is out of order'],
  );
  const lines = await gateway.ended(2);
  assert.deepEqual(
    lines.map(({ status, outcome }) => [status, outcome]),
    [
      [200, 'ok'],
      [200, 'ok'],
    ],
  );
});
