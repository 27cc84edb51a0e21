import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, openSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { describe, it, type TestContext } from 'node:test';

const LOG = new URL('../../src/accounting/log.ts', import.meta.url).href;

/** A process that opens a log at level info and does something with it; its output, line by line. */
function run(t: TestContext, script: string) {
  const child = spawn(process.execPath, ['--input-type=module', '-e', begin(script)], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  t.after(() => child.kill('SIGKILL'));
  return createInterface({ input: child.stdout });
}

function begin(script: string): string {
  return `import { openLog } from '${LOG}'; const log = openLog('info'); ${script}`;
}

/** The lines that it writes until it ends, or so many of them. */
async function all(t: TestContext, script: string, most = Infinity): Promise<string[]> {
  const lines: string[] = [];
  for await (const line of run(t, script)) if (lines.push(line) === most) break;
  return lines;
}

const messageOf = (line: string): unknown => JSON.parse(line).msg;

describe('the log of a process', () => {
  const EIGHT = `log.line('{"msg":"a"}\\n'); log.info({}, 'b'); log.line('{"msg":"c"}\\n'); log.line('{"msg":"d"}\\n');
    log.warn({}, 'e'); log.relay('{"msg":"f"}\\n{"msg":"g"}\\n'); log.line('{"msg":"h"}\\n');`;

  it('has what was written in the order in which it was', async (t) => {
    const lines = await all(t, `${EIGHT} setInterval(() => {}, 1000);`, 8);
    assert.deepEqual(lines.map(messageOf), ['a', 'b', 'c', 'd', 'e', 'f', 'g', 'h']);
  });

  it('loses nothing when the process ends', async (t) => {
    const lines = await all(t, `${EIGHT} process.exit(0);`);
    assert.deepEqual(lines.map(messageOf).toSorted(), ['a', 'b', 'c', 'd', 'e', 'f', 'g', 'h']);
  });

  it('does not keep the process from ending when its reader has gone and nobody has noticed', async (t) => {
    const code = begin(`
      process.stdin.once('data', () => { log.info({}, 'a'); log.info({}, 'b'); process.exit(3); });`);
    const child = spawn(process.execPath, ['--input-type=module', '-e', code], {
      stdio: ['pipe', 'pipe', 'inherit'],
    });
    t.after(() => child.kill('SIGKILL'));
    child.stdout.destroy();
    await once(child.stdout, 'close');
    child.stdin.write('now');
    const [status] = await once(child, 'exit');
    assert.equal(status, 3);
  });

  it('shows a line of a request by itself soon, though nothing comes after it', async (t) => {
    const lines = await all(t, `log.line('{"msg":"a"}\\n'); setInterval(() => {}, 1000);`, 1);
    assert.deepEqual(lines.map(messageOf), ['a']);
  });

  it('shows everything else at once', async (t) => {
    const lines = await all(t, `log.line('{"msg":"a"}\\n'); log.error({}, 'b'); for (;;) {}`, 2);
    assert.deepEqual(lines.map(messageOf), ['a', 'b']);
  });

  it('has what is announced at every level but silent, and what is below its level not for that', async (t) => {
    const script = `for (const level of ['trace', 'info', 'fatal', 'silent']) {
      log.setLevel(level); log.announce({}, level); log.info({}, 'more');
    }`;
    assert.deepEqual((await all(t, script)).map(messageOf), ['trace', 'more', 'info', 'more', 'fatal']);
  });

  it('has every one of many lines, whole', async (t) => {
    const lines = await all(
      t,
      `for (let i = 0; i < 20000; i++) log.line(JSON.stringify({ msg: i, text: 'é'.repeat(i % 500) }) + '\\n');
       setInterval(() => {}, 1000);`,
      20_000,
    );
    assert.equal(lines.length, 20_000);
    for (const [i, line] of lines.entries()) assert.equal(messageOf(line), i);
  });

  describe('with each write over two turns of the event loop later', () => {
    const SLOWLY = `import fs from 'node:fs'; import { syncBuiltinESMExports } from 'node:module';
      import { setImmediate as turn } from 'node:timers/promises';
      let writes = 0; let code = null;
      fs.write = (fd, bytes, done) => {
        writes++;
        if (code !== null) return setImmediate(setImmediate, done, Object.assign(new Error(code), { code }));
        const count = fs.writeSync(fd, bytes.subarray(0, 40_000));
        setImmediate(setImmediate, done, null, count);
      };
      syncBuiltinESMExports();`;

    it('writes many lines at a time', async (t) => {
      const script = `${SLOWLY} const text = '{"msg":"' + 'x'.repeat(91) + '"}\\n'; const start = performance.now();
        for (let i = 0; i < 3000; i++) { log.line(text); await turn(); }
        const ms = performance.now() - start; log.info({ writes, ms }, 'counted'); await log.written(); process.exit(0);`;
      const lines = await all(t, script);
      assert.equal(lines.length, 3001);
      const { writes, ms } = JSON.parse(lines.at(-1) ?? '');
      // Pieces of 32 KB, and one each tenth of a second.
      assert.ok(writes > 0 && writes <= 300_000 / 32_768 + ms / 100 + 2, `${writes} in ${ms} ms`);
    });

    it('has whole lines though only a part of a piece is taken at a time', async (t) => {
      const script = `${SLOWLY} for (let i = 0; i < 3000; i++) log.line(JSON.stringify({ msg: i, text: 'é'.repeat(i % 500) }) + '\\n');
        await log.written(); process.kill(process.pid, 'SIGKILL');`;
      const lines = await all(t, script);
      assert.deepEqual(
        lines.map(messageOf),
        Array.from({ length: 3000 }, (_, i) => i),
      );
    });

    for (const code of ['ENOSPC', 'EAGAIN', 'EPIPE'])
      it(`tries ${code} again by itself, and not for each line`, async (t) => {
        const script = `${SLOWLY} code = '${code}'; log.info({}, 'a'); log.info({}, 'b');
          for (let i = 0; i < 1000; i++) { log.line('{"msg":"c"}\\n'); await turn(); }
          const before = writes; while (writes < before + 2) await turn();
          for (let i = 0; i < 4; i++) await turn();
          code = null; log.info({ before }, 'd'); await log.written(); process.kill(process.pid, 'SIGKILL');`;
        const lines = await all(t, script);
        assert.deepEqual(lines.map(messageOf), ['a', 'b', ...Array(1000).fill('c'), 'd']);
        const { before } = JSON.parse(lines.at(-1) ?? '');
        assert.ok(before < 500, `${before} times`);
      });

    it('writes on after a full disk where it left off', async (t) => {
      const script = `${SLOWLY} for (let i = 0; i < 1000; i++) log.line(JSON.stringify({ msg: i, text: 'é'.repeat(i % 500) }) + '\\n');
        code = 'ENOSPC'; while (writes < 2) await turn();
        for (let i = 0; i < 4; i++) await turn();
        code = null; await log.written(); process.kill(process.pid, 'SIGKILL');`;
      const lines = await all(t, script);
      assert.deepEqual(
        lines.map(messageOf),
        Array.from({ length: 1000 }, (_, i) => i),
      );
    });

    it('looks after a reader that takes nothing just now a hundred times a second', async (t) => {
      const script = `${SLOWLY} setInterval(() => {}, 1000); code = 'EAGAIN'; const start = performance.now(); log.info({}, 'a');
        while (writes < 100) await turn();
        const ms = performance.now() - start; code = null; log.info({ ms }, 'b'); await log.written(); process.exit(0);`;
      const { ms } = JSON.parse((await all(t, script)).at(-1) ?? '');
      // Each tenth of a second once more.
      assert.ok(ms > 700, `${ms} ms`);
    });

    it('keeps a line of any length, no more than 16 million characters of others, and says how many were lost', async (t) => {
      const script = `${SLOWLY} fs.write = (fd, bytes, done) => setTimeout(() => done(null, fs.writeSync(fd, bytes)), 50); syncBuiltinESMExports();
        const long = (msg, length) => JSON.stringify({ msg, text: 'x'.repeat(length) }) + '\\n';
        log.info({}, 'a'); log.line(long('b', 20_000_000)); log.line(long('c', 10)); log.relay(long('d', 10) + long('e', 10));
        await log.written(); log.line(long('f', 10)); await log.written(); process.exit(0);`;
      const lines = (await all(t, script)).map((line) => JSON.parse(line));
      assert.deepEqual(
        lines.map(({ msg, lines }) => lines ?? msg),
        ['a', 'b', 3, 'f'],
      );
    });

    it('is done with waiting, and writes no more, once nobody reads it', async (t) => {
      const script = `${SLOWLY} log.info({}, 'a'); log.info({}, 'b'); log.unread(); log.line('{"msg":"c"}\\n');
        await log.written(); log.line('{"msg":"d"}\\n'); await log.written(); process.exit(0);`;
      const child = spawn(process.execPath, ['--input-type=module', '-e', begin(script)], {
        stdio: ['ignore', 'pipe', 'inherit'],
      });
      t.after(() => child.kill('SIGKILL'));
      let text = '';
      child.stdout.on('data', (bytes) => {
        text += bytes;
      });
      const [status] = await once(child, 'close');
      assert.equal(status, 0);
      // What a thread had in its hands already.
      assert.deepEqual(text.trim().split('\n').map(messageOf), ['a']);
    });

    it('writes all that is left when the process ends, however little is taken at a time', async (t) => {
      const script = `${SLOWLY} const { writeSync } = fs; let calls = 0;
        fs.writeSync = (fd, bytes) => {
          if (++calls % 3 === 0) throw Object.assign(new Error('EAGAIN'), { code: 'EAGAIN' });
          return writeSync(fd, bytes.subarray(0, 100));
        };
        syncBuiltinESMExports(); ${EIGHT} process.exit(0);`;
      const lines = await all(t, script);
      assert.deepEqual(lines.map(messageOf).toSorted(), ['a', 'b', 'c', 'd', 'e', 'f', 'g', 'h']);
    });

    it('tries once more at the end what could not be written, and says that it cannot be', async (t) => {
      const script = `${SLOWLY} code = 'ENOSPC'; log.info({}, 'a'); await log.written(); log.info({}, 'b'); await log.written(); process.exit(0);`;
      assert.deepEqual((await all(t, script)).map(messageOf), ['a', 'b']);
    });
  });

  it('does not keep the process from ending where the disk is full', async (t) => {
    const code = begin(
      `log.info({}, 'a'); log.info({}, 'b'); await log.written(); log.info({}, 'c'); await log.written(); process.exit(3);`,
    );
    const full = openSync('/dev/full', 'w');
    const child = spawn(process.execPath, ['--input-type=module', '-e', code], {
      stdio: ['ignore', full, 'inherit'],
    });
    t.after(() => child.kill('SIGKILL'));
    closeSync(full);
    const [status] = await once(child, 'exit');
    assert.equal(status, 3);
  });

  it('keeps to its level, which may change', async (t) => {
    const lines = await all(
      t,
      `log.debug({}, 'a'); log.info({}, 'b'); log.setLevel('warn'); log.info({}, 'c'); log.warn({}, 'd');
       const warned = ['info', 'warn', 'error'].map(log.writes);
       log.setLevel('silent'); const silent = ['info', 'fatal'].map(log.writes);
       log.setLevel('debug'); log.debug({ warned, silent, debug: log.writes('debug') }, 'e'); setInterval(() => {}, 1000);`,
      3,
    );
    assert.deepEqual(lines.map(messageOf), ['b', 'd', 'e']);
    const { warned, silent, debug } = JSON.parse(lines[2] ?? '');
    assert.deepEqual(
      { warned, silent, debug },
      { warned: [false, true, true], silent: [false, false], debug: true },
    );
  });

  it('says which worker formatted a line', async (t) => {
    const lines = await all(t, `log.setWorker(3); log.info({ x: 1 }, 'a'); process.exit(0);`);
    const { worker, x, msg } = JSON.parse(lines[0] ?? '');
    assert.deepEqual({ worker, x, msg }, { worker: 3, x: 1, msg: 'a' });
  });
});
