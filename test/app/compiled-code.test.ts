import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { describe, it } from 'node:test';
import { promisify } from 'node:util';
import { KEEP_SHAPES } from '../../src/app/compiled-code.ts';
import { startProcess } from '../support/process.ts';

describe('what V8 is told, to keep compiled code', () => {
  it('is something that this Node knows', async () => {
    // Told something unknown by a program, V8 only says so on standard error.
    const { stdout, stderr } = await promisify(execFile)(process.execPath, [KEEP_SHAPES, '--print', '1']);
    assert.deepEqual({ stdout, stderr }, { stdout: '1\n', stderr: '' });
  });

  it('is told by each process that serves clients', async (t) => {
    const told = `import v8 from 'node:v8'; import { syncBuiltinESMExports } from 'node:module';
      v8.setFlagsFromString = (flag) => process.stderr.write(flag + ' ');
      syncBuiltinESMExports();`;
    const nodeArgs = ['--import', `data:text/javascript,${encodeURIComponent(told)}`];
    for (const workers of [1, 2]) {
      const gateway = startProcess(
        t,
        {
          server: { workers },
          providers: { a: { adapter: 'vllm', base_url: 'http://127.0.0.1:9' } },
          models: { m: { provider: 'a' } },
        },
        { nodeArgs },
      );
      await gateway.listening();
      gateway.child.kill('SIGTERM');
      await gateway.ended;
      assert.equal(gateway.stderr, `${KEEP_SHAPES} `.repeat(workers));
    }
  });
});
