import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { onFreePorts } from '../support/process.ts';
import { until } from '../support/redis.ts';
import { type Gateway, shortly, start } from './kit.ts';

const NOT_RELOADED = 'the configuration was not reloaded: the running one stays';

/** The configuration with these sections in place of its own. */
function change(gateway: Gateway, sections: object): void {
  gateway.process.writeConfig(onFreePorts({ ...gateway.config, ...sections }));
}

/** What requests for this model are answered with, one by each of two workers. */
async function answers(gateway: Gateway, model: string) {
  const [first, second] = [await gateway.chat({ model }), await gateway.chat({ model })];
  assert.notEqual(first.worker, second.worker);
  return [shortly(first), shortly(second)];
}

const BOTH = { m: { provider: 'a', model: 'up' }, n: { provider: 'a', model: 'up' } };
const GOOD = [200, null];
const UNKNOWN = [404, 'model_not_found'];

describe('several workers', () => {
  it('take over a changed configuration all together, by the admin API or by a signal', async (t) => {
    const gateway = await start(t);
    assert.deepEqual(await answers(gateway, 'n'), [UNKNOWN, UNKNOWN]);
    change(gateway, { models: BOTH });
    const { status, text } = await gateway.operator('POST', '/admin/reload');
    assert.deepEqual([status, text], [200, '{"status":"reloaded"}']);
    assert.deepEqual(await answers(gateway, 'n'), [GOOD, GOOD]);
    change(gateway, {});
    gateway.process.child.kill('SIGHUP');
    await until(() => gateway.said('reloaded').length === 2, 'it to be reloaded');
    assert.deepEqual(await answers(gateway, 'n'), [UNKNOWN, UNKNOWN]);
  });

  it('are told to by a signal to the whole group once', async (t) => {
    const gateway = await start(t, { ownGroup: true });
    change(gateway, { models: BOTH });
    process.kill(-(gateway.process.child.pid ?? 0), 'SIGHUP');
    await gateway.process.line('reloaded');
    assert.deepEqual(await answers(gateway, 'n'), [GOOD, GOOD]);
    assert.equal(gateway.said('reloaded').length, 1);
    assert.equal(gateway.workers().length, 2);
  });

  it('all stay as they are where the file is faulty, or asks for what needs a restart', async (t) => {
    const gateway = await start(t);
    for (const [sections, problem] of [
      [{ models: { ...BOTH, o: { provider: 'nobody' } } }, /models\.o\.provider: there is no provider/],
      [{ models: BOTH, server: { workers: 3 } }, /server\.workers cannot change while running/],
    ] as const) {
      change(gateway, sections);
      const { status, text } = await gateway.operator('POST', '/admin/reload');
      assert.equal(status, 422);
      assert.equal(JSON.parse(text).error.code, 'invalid_configuration');
      assert.match(text, problem);
      assert.deepEqual(await answers(gateway, 'n'), [UNKNOWN, UNKNOWN]);
      assert.deepEqual(await answers(gateway, 'm'), [GOOD, GOOD]);
    }
    assert.equal(gateway.said(NOT_RELOADED).length, 2);
  });

  it('take one over though one of them dies in the middle of it', async (t) => {
    const gateway = await start(t);
    change(gateway, { models: BOTH });
    const [pid = 0] = gateway.workers();
    // It looks at nothing any more, and is gone before the others have.
    process.kill(pid, 'SIGSTOP');
    const reloaded = gateway.operator('POST', '/admin/reload');
    process.kill(pid, 'SIGKILL');
    assert.equal((await reloaded).status, 200);
    await until(() => gateway.said('a worker accepts requests again').length === 1, 'it to be replaced');
    assert.deepEqual(await answers(gateway, 'n'), [GOOD, GOOD]);
  });
});
