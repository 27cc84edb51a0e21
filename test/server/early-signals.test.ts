import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, constants, openSync, rmSync, writeFileSync } from 'node:fs';
import { type FileHandle, open } from 'node:fs/promises';
import { type AddressInfo, createServer } from 'node:net';
import { join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { type GatewayProcess, startProcess, temporaryDirectory } from '../support/process.ts';

const ENDED = { code: 0, signal: null };

function configuration(workers: number, key: string): object {
  return {
    server: { workers },
    providers: { a: { adapter: 'vllm', base_url: 'http://127.0.0.1:9/v1', api_key: key } },
    models: { m: { provider: 'a' } },
  };
}

interface Beginning {
  gateway: GatewayProcess;
  /** Where it gets its key from: it waits for what is written there. */
  key: FileHandle;
}

/** A gateway that reads its configuration, and cannot come to the end of it: its key is to come through a pipe. Whoever reads it again finds a file. */
async function whileItReads(t: TestContext, workers: number): Promise<Beginning> {
  const path = join(temporaryDirectory(t), 'key');
  execFileSync('mkfifo', [path]);
  const gateway = startProcess(t, configuration(workers, `\${file:${path}}`));
  let isRead = false;
  // A pipe that nobody reads would never be open for writing.
  gateway.ended.then(() => {
    if (!isRead) closeSync(openSync(path, constants.O_RDONLY | constants.O_NONBLOCK));
  });
  const key = await open(path, 'w');
  isRead = true;
  t.after(() => key.close());
  rmSync(path);
  writeFileSync(path, 'sk-the-same-as-before');
  return { gateway, key };
}

describe('a signal that comes while the process begins', () => {
  for (const workers of [1, 2]) {
    it(`SIGHUP does not end it: it begins, and loads the configuration again once (workers: ${workers})`, async (t) => {
      const { gateway, key } = await whileItReads(t, workers);
      gateway.child.kill('SIGHUP');
      await key.writeFile('sk-the-same-as-before');
      await key.close();
      const { admin } = await gateway.listening();
      // It is done after what was asked before.
      assert.equal((await fetch(`${admin}/admin/reload`, { method: 'POST' })).status, 200);
      gateway.child.kill('SIGTERM');
      assert.deepEqual(await gateway.ended, ENDED);
      assert.equal(gateway.lines.filter(({ msg }) => msg === 'reloaded').length, 2);
      assert.equal(gateway.lines.filter(({ level }) => level > 30).length, 0);
    });

    it(`SIGTERM ends it with status 0 (workers: ${workers})`, async (t) => {
      const { gateway } = await whileItReads(t, workers);
      gateway.child.kill('SIGTERM');
      assert.deepEqual(await gateway.ended, ENDED);
      assert.deepEqual([gateway.stdout, gateway.stderr], ['', '']);
    });
  }
});

describe('SIGTERM that comes while the process waits for Redis', () => {
  for (const workers of [1, 2]) {
    it(`ends it with status 0: it listens to nobody any more (workers: ${workers})`, async (t) => {
      // It lets everybody in, and says nothing.
      const redis = createServer((socket) => socket.on('error', () => {})).listen(0, '127.0.0.1');
      t.after(() => void redis.close());
      await once(redis, 'listening');
      const { port } = redis.address() as AddressInfo;
      const gateway = startProcess(t, {
        ...configuration(workers, 'sk-a-key'),
        state: { redis: `redis://127.0.0.1:${port}` },
      });
      await once(redis, 'connection');
      gateway.child.kill('SIGTERM');
      assert.deepEqual(await gateway.ended, ENDED);
      assert.equal(gateway.stderr, '');
      assert.equal(gateway.lines.at(-1)?.msg, 'stopped');
    });
  }
});

/** Workers of a gateway tell themselves this signal as soon as their first package is brought in. */
function toldWhileWorkersLoad(t: TestContext, signal: string): GatewayProcess {
  const module = join(temporaryDirectory(t), 'told.mjs');
  const code = `
    import { registerHooks } from 'node:module';
    import cluster from 'node:cluster';
    let told = cluster.isWorker !== true;
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
  return startProcess(t, configuration(2, 'sk-a-key'), { nodeArgs: ['--import', module] });
}

describe('a signal that comes while a worker begins', () => {
  for (const signal of ['SIGHUP', 'SIGTERM']) {
    it(`${signal} does not end it: the primary says what is to be done`, async (t) => {
      const gateway = toldWhileWorkersLoad(t, signal);
      const { admin } = await gateway.listening();
      assert.equal((await fetch(`${admin}/readyz`)).status, 200);
      assert.equal(gateway.lines.filter(({ level }) => level > 30).length, 0);
    });
  }
});
