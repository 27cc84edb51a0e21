import assert from 'node:assert/strict';
import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { startProcess, temporaryDirectory } from '../support/process.ts';
import { startUpstream } from '../support/upstream.ts';
import { chatBody, leaveLogUnread } from './helpers.ts';

const CONFIG = {
  providers: { a: { adapter: 'vllm', base_url: 'http://127.0.0.1:9/v1' } },
  models: { m: { provider: 'a' } },
};

describe('a fault of the process', () => {
  const faults: Record<string, string> = {
    'an error that nothing caught': "throw new Error('out of order')",
    'a promise that nobody heeded': "Promise.reject(new Error('out of order'))",
  };
  for (const [what, code] of Object.entries(faults)) {
    it(`ends it with status 1 and a line in the log: ${what}`, async (t) => {
      const module = join(temporaryDirectory(t), 'fault.mjs');
      // Once it is told to, so that it is the running gateway that it strikes.
      writeFileSync(module, `process.on('SIGUSR2', () => { ${code}; });`);
      const gateway = startProcess(t, CONFIG, { nodeArgs: ['--import', module] });
      await gateway.listening();
      gateway.child.kill('SIGUSR2');
      assert.deepEqual(await gateway.ended, { code: 1, signal: null });
      const line = await gateway.line('uncaught error: the process ends').catch(() => null);
      assert.equal(line?.level, 60);
      const error = line?.['err'] as { message: string; stack: string };
      assert.equal(error.message, 'out of order');
      assert.match(error.stack, /fault\.mjs/);
    });
  }
});

describe('a fault of a process whose log is kept open and not read', () => {
  it('ends it all the same', async (t) => {
    const module = join(temporaryDirectory(t), 'fault.mjs');
    writeFileSync(module, "process.on('SIGUSR2', () => { throw new Error('out of order'); });");
    const gateway = startProcess(t, CONFIG, { nodeArgs: ['--import', module] });
    const { listen } = await gateway.listening();
    await leaveLogUnread(gateway, listen);
    const exited = once(gateway.child, 'exit');
    gateway.child.kill('SIGUSR2');
    await exited;
    gateway.child.stdout?.resume();
  });
});

describe('a reader of the log who goes', () => {
  it('does not end the process, nor any request', async (t) => {
    const upstream = await startUpstream();
    t.after(() => upstream.close());
    const gateway = startProcess(t, {
      providers: { a: { adapter: 'vllm', base_url: upstream.url } },
      models: { m: { provider: 'a' } },
    });
    const { listen, admin } = await gateway.listening();
    gateway.child.stdout?.destroy();
    gateway.child.stderr?.destroy();
    for (let i = 0; i < 5; i++) {
      const response = await fetch(`${listen}/v1/chat/completions`, { method: 'POST', body: chatBody() });
      assert.equal(response.status, 200);
      // A line that is written at once, which is how the process learns of it.
      assert.equal((await fetch(`${admin}/admin/reload`, { method: 'POST' })).status, 200);
    }
    gateway.child.kill('SIGTERM');
    assert.deepEqual(await gateway.ended, { code: 0, signal: null });
  });
});
