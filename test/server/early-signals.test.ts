import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { startProcess, temporaryDirectory } from '../support/process.ts';

/** Tells itself this signal as soon as the first package is brought in, which is long before it listens. `where`: in which of the processes. */
function toldWhileLoading(t: TestContext, signal: string, where: 'isPrimary' | 'isWorker', workers = 1) {
  const module = join(temporaryDirectory(t), 'told.mjs');
  const code = `
    import { registerHooks } from 'node:module';
    import cluster from 'node:cluster';
    let told = cluster.${where} !== true;
    registerHooks({
      load(url, context, next) {
        if (!told && url.includes('/node_modules/pino/')) {
          told = true;
          process.kill(process.pid, '${signal}');
        }
        return next(url, context);
      },
    });`;
  writeFileSync(module, code);
  const config = {
    server: { workers },
    providers: { a: { adapter: 'vllm', base_url: 'http://127.0.0.1:9/v1' } },
    models: { m: { provider: 'a' } },
  };
  return startProcess(t, config, { nodeArgs: ['--import', module] });
}

describe('a signal that comes while the process begins', () => {
  it('SIGHUP does not end it: it begins, and loads the configuration again', async (t) => {
    const gateway = toldWhileLoading(t, 'SIGHUP', 'isPrimary');
    await gateway.listening();
    await gateway.line('reloaded');
  });

  it('SIGTERM ends it with status 0', async (t) => {
    const gateway = toldWhileLoading(t, 'SIGTERM', 'isPrimary');
    assert.deepEqual(await gateway.ended, { code: 0, signal: null });
    assert.equal(gateway.stderr, '');
  });

  for (const signal of ['SIGHUP', 'SIGTERM']) {
    it(`${signal} does not end a worker, to whom the primary says what is to be done`, async (t) => {
      const gateway = toldWhileLoading(t, signal, 'isWorker', 2);
      const { admin } = await gateway.listening();
      assert.equal((await fetch(`${admin}/readyz`)).status, 200);
      assert.equal(gateway.lines.filter(({ level }) => level > 30).length, 0);
    });
  }

  it('SIGHUP to a gateway of several workers has all of them load the configuration again', async (t) => {
    const gateway = toldWhileLoading(t, 'SIGHUP', 'isPrimary', 2);
    await gateway.listening();
    await gateway.line('reloaded');
  });
});
