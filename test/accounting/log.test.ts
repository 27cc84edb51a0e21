import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { describe, it, type TestContext } from 'node:test';

const LOG = new URL('../../src/accounting/log.ts', import.meta.url).href;

/** A process that opens a log at level info and does something with it; its output, line by line. */
function run(t: TestContext, script: string) {
  const code = `import { openLog } from '${LOG}'; const log = openLog('info'); ${script}`;
  const child = spawn(process.execPath, ['--input-type=module', '-e', code], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  t.after(() => child.kill('SIGKILL'));
  return createInterface({ input: child.stdout });
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
    const code = `import { openLog } from '${LOG}'; const log = openLog('info');
      process.stdin.once('data', () => { log.info({}, 'a'); log.info({}, 'b'); process.exit(3); });`;
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

  it('writes many lines at a time, though one piece is written long before there are enough for the next', async (t) => {
    const lines = await all(
      t,
      `import fs from 'node:fs'; import { setImmediate as turn } from 'node:timers/promises';
       const write = fs.write; let writes = 0;
       fs.write = (...args) => { writes++; return write(...args); };
       const start = performance.now(); const text = '{"msg":"' + 'x'.repeat(91) + '"}\\n';
       for (let i = 0; i < 3000; i++) { log.line(text); await turn(); }
       const ms = performance.now() - start;
       fs.write = write; await log.written();
       log.error({ writes, ms }, 'counted'); await log.written(); process.exit(0);`,
    );
    const { writes, ms } = JSON.parse(lines.at(-1) ?? '');
    // Pieces of 32 KB, and one each tenth of a second.
    assert.ok(writes > 0 && writes <= 300_000 / 32_768 + ms / 100 + 2, `${writes} in ${ms} ms`);
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
