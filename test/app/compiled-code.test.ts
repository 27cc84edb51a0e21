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

  it('is helped by an object of each shape that the start must not be the last to have', async () => {
    const code = `import { createHook } from 'node:async_hooks';
      import { keepCompiledCode, KEPT } from '${new URL('../../src/app/compiled-code.ts', import.meta.url).href}';
      keepCompiledCode();
      for (let n = 0; n < 3; n++) { await new Promise(setImmediate); gc(); }
      const later = [];
      const hook = createHook({ init: (id, type, trigger, made) => type === 'TickObject' && later.push(made) }).enable();
      process.nextTick(() => {});
      hook.disable();
      console.log(KEPT.length, later.length, %HaveSameMap(KEPT[0], later[0]));`;
    const args = ['--expose-gc', '--allow-natives-syntax', '--input-type=module', '-e', code];
    const { stdout, stderr } = await promisify(execFile)(process.execPath, args);
    assert.deepEqual({ stdout, stderr }, { stdout: '1 1 true\n', stderr: '' });
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
