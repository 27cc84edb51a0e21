import assert from 'node:assert/strict';
import { it } from 'node:test';
import { type Clock, systemClock } from '../../src/core/clock.ts';
import { startGateway } from '../support/gateway.ts';

it('a client whose quotas cannot be read because of a mistake of ours is told so', async (t) => {
  let isOutOfOrder = false;
  const clock: Clock = {
    ...systemClock,
    wall: () => {
      if (isOutOfOrder) throw new Error('the clock is out of order');
      return systemClock.wall();
    },
  };
  const gateway = await startGateway(
    {
      models: { m: { provider: 'a', model: 'up' } },
      providers: { a: { adapter: 'openai', api_key: 'key' } },
    },
    { clock },
  );
  t.after(() => gateway.close());
  isOutOfOrder = true;

  const response = await fetch(`${gateway.url}/usage`);

  assert.equal(response.status, 500);
  const { error } = (await response.json()) as { error: { code: string } };
  assert.equal(error.code, 'internal_error');
  const mistakes = gateway.logs.filter(({ message }) => message === 'a mistake of the gateway');
  assert.equal(mistakes.length, 1);
  isOutOfOrder = false;
});
