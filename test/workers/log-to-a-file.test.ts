import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { until } from '../support/redis.ts';
import { chatStream, Gate, pauseUntil } from '../support/upstream.ts';
import { lives, start } from './kit.ts';

/** Characters that take two bytes: together with the rest of the line, more than a page. */
const LONG = 'é'.repeat(3000);

describe('several workers whose log is a file', () => {
  it('write every line whole, however long and whoever else writes', async (t) => {
    const gateway = await start(t, { outputTo: 'file', config: { log: { request_bodies: true } } });
    for (let round = 0; round < 10; round++) {
      const messages = [{ role: 'user', content: LONG }];
      const answers = await Promise.all(Array.from({ length: 50 }, () => gateway.chat({ messages })));
      assert.ok(answers.every(({ status }) => status === 200));
    }
    gateway.process.child.kill('SIGTERM');
    await gateway.process.ended;
    // What is no line of JSON, whoever hears the process throws at.
    assert.equal(gateway.said('request').length, 500);
    assert.deepEqual(
      gateway
        .said('draining')
        .map(({ worker }) => worker)
        .toSorted(),
      [1, 2],
    );
    assert.equal(gateway.said('stopped').length, 1);
  });

  it('write what they still have to say after the primary has died', async (t) => {
    const gateway = await start(t, { outputTo: 'file' });
    const gate = new Gate();
    gateway.upstream.enqueue(chatStream({ content: ['Hel', pauseUntil(gate), 'lo'] }));
    const { rest } = await gateway.stream();
    const workers = gateway.workers();
    gateway.process.child.kill('SIGKILL');
    await until(() => gateway.said('draining').length === 2, 'both to notice');
    gate.open();
    assert.match(await rest, /lo.*\[DONE\]/s);
    await until(() => workers.every((pid) => !lives(pid)), 'the workers to end');
    await gateway.process.ended;
    assert.equal(gateway.said('request').length, 1);
  });
});
