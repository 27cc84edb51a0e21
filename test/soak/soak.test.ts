import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { LLMock } from '@copilotkit/aimock';
import { Agent, request } from 'undici';
import { chatAnswer, chatStream, reset, startUpstream, type Upstream } from '../support/upstream.ts';

/** How long the load lasts. `npm run soak` asks for minutes; the usual run for as long as shows that it works. */
const SECONDS = Number(process.env['SOAK_SECONDS'] ?? 6);
/** Clients at a time. */
const CLIENTS = 40;
/** Heap that may be left over when all is quiet again: caches, compiled code, series of metrics. Bytes. */
const LEFT_OVER = 6 * 1024 * 1024;

const MAIN = fileURLToPath(new URL('../../src/main.ts', import.meta.url));
const COLLECTOR = fileURLToPath(new URL('../support/gc-on-signal.ts', import.meta.url));

interface Gateway {
  process: ChildProcess;
  url: string;
  admin: string;
}

async function startFlakyMock(): Promise<LLMock> {
  const mock = new LLMock({ port: 0, logLevel: 'silent' });
  const story = 'Once upon a time there was a relay that never lost a word. '.repeat(6);
  mock.addFixture({ match: { predicate: () => true }, response: { content: story }, chunkSize: 12 });
  mock.setChaos({ dropRate: 0.1, malformedRate: 0.1, disconnectRate: 0.1 });
  await mock.start();
  return mock;
}

/** Good answers, and every fifth one of a kind that a mock on HTTP cannot give. */
async function startRoughUpstream(): Promise<Upstream> {
  const upstream = await startUpstream();
  let count = 0;
  upstream.reply((asked) => {
    const streaming = asked.json()['stream'] === true;
    const rough = count++ % 5 === 0;
    if (streaming)
      return chatStream({ content: rough ? ['One ', 'two ', reset()] : ['One ', 'two ', 'three.'] });
    return rough ? reset() : chatAnswer({ content: 'One two three.' });
  });
  return upstream;
}

async function startGateway(directory: string, mock: LLMock, upstream: Upstream): Promise<Gateway> {
  const file = join(directory, 'soak.yaml');
  writeFileSync(
    file,
    JSON.stringify({
      version: 1,
      listen: '127.0.0.1:0',
      admin: { listen: '127.0.0.1:0' },
      auth: 'none',
      log: { level: 'info' },
      providers: {
        flaky: { adapter: 'openai', base_url: `${mock.url}/v1`, api_key: 'sk-soak-flaky' },
        rough: { adapter: 'openai', base_url: upstream.url, api_key: 'sk-soak-rough' },
      },
      defaults: {
        retry: { backoff: { base: '5ms' } },
        breaker: { open_for: '200ms', consecutive_failures: 8 },
      },
      models: {
        m: {
          strategy: { mode: 'loadbalance' },
          targets: [
            { weight: 1, provider: 'flaky', model: 'gpt-4o' },
            { weight: 1, provider: 'rough', model: 'rough-1' },
          ],
        },
      },
    }),
  );
  const arguments_ = ['--expose-gc', '--import', COLLECTOR, MAIN, '--config', file];
  const child = spawn(process.execPath, arguments_, { stdio: ['ignore', 'pipe', 'inherit'] });
  const lines = createInterface({ input: child.stdout });
  const listening = new Promise<Gateway>((resolve, reject) => {
    lines.on('line', (line) => {
      const entry = JSON.parse(line) as { msg: string; listen: string; admin: string };
      if (entry.msg === 'listening') resolve({ process: child, url: entry.listen, admin: entry.admin });
    });
    child.once('exit', (code) => reject(new Error(`the gateway ended with ${code}`)));
  });
  return listening;
}

async function metric(gateway: Gateway, name: string): Promise<number> {
  const text = await (await fetch(`${gateway.admin}/metrics`, { headers: { connection: 'close' } })).text();
  const line = text.split('\n').find((candidate) => candidate.startsWith(`${name} `));
  assert.ok(line !== undefined, `no ${name} in /metrics`);
  return Number(line.slice(name.length + 1));
}

/** The gateway at rest: what it holds once nothing is under way and all that is unused has been collected. */
async function atRest(gateway: Gateway, upstream: Upstream): Promise<{ heap: number; sockets: number }> {
  const deadline = Date.now() + 20_000;
  // Idle sockets are closed by the hosts (the mock after five seconds); one whose request does not end would stay.
  upstream.dropConnections('fin');
  while (Date.now() < deadline) {
    const inFlight = await metric(gateway, 'spillway_in_flight');
    const sockets = await metric(gateway, 'process_open_fds');
    if (inFlight === 0 && sockets <= IDLE_FDS.limit) break;
    await delay(200);
  }
  for (let i = 0; i < 3; i++) {
    gateway.process.kill('SIGUSR2');
    await delay(100);
  }
  return {
    heap: await metric(gateway, 'nodejs_heap_size_used_bytes'),
    sockets: await metric(gateway, 'process_open_fds'),
  };
}
const IDLE_FDS = { limit: Number.POSITIVE_INFINITY };

/** One client: asks again and again, streaming or not, and leaves one time in seven before the answer is through. */
async function ask(
  gateway: Gateway,
  agent: Agent,
  until: number,
  counts: Record<string, number>,
): Promise<void> {
  const count = (what: string) => {
    counts[what] = (counts[what] ?? 0) + 1;
  };
  for (let turn = 0; Date.now() < until; turn++) {
    const leaves = turn % 7 === 3;
    const leaving = new AbortController();
    const timer = leaves ? setTimeout(() => leaving.abort(), Math.random() * 20) : undefined;
    try {
      const response = await request(`${gateway.url}/v1/chat/completions`, {
        method: 'POST',
        dispatcher: agent,
        signal: leaving.signal,
        body: JSON.stringify({
          model: 'm',
          stream: turn % 2 === 0,
          messages: [{ role: 'user', content: 'go on' }],
        }),
      });
      const text = await response.body.text();
      const broken = text.includes('stream_interrupted');
      const whole = text.includes('data: [DONE]') || text.startsWith('{');
      if (response.statusCode === 200) {
        assert.ok(broken !== whole, `neither whole nor said to be broken: ${text.slice(-200)}`);
      }
      count(response.statusCode === 200 ? (broken ? 'interrupted' : 'whole') : String(response.statusCode));
    } catch (error) {
      if (!leaving.signal.aborted) throw error;
      count('left');
    } finally {
      clearTimeout(timer);
    }
  }
}

test('faults and leaving clients leave nothing behind', { timeout: (SECONDS + 120) * 1000 }, async () => {
  const directory = mkdtempSync(join(tmpdir(), 'spillway-soak-'));
  const [mock, upstream] = await Promise.all([startFlakyMock(), startRoughUpstream()]);
  const gateway = await startGateway(directory, mock, upstream);
  const counts: Record<string, number> = {};
  const load = async (seconds: number) => {
    const agent = new Agent({ connections: CLIENTS });
    const until = Date.now() + seconds * 1000;
    await Promise.all(Array.from({ length: CLIENTS }, () => ask(gateway, agent, until, counts)));
    await agent.destroy();
  };
  try {
    const fresh = await metric(gateway, 'process_open_fds');
    await load(2); // code is compiled, series of metrics are made
    IDLE_FDS.limit = fresh + 2;
    const before = await atRest(gateway, upstream);
    for (let left = SECONDS; left > 0; left -= 10) {
      await load(Math.min(10, left));
      if (SECONDS > 10)
        process.stderr.write(`soak: ${Math.max(0, left - 10)} s left, ${JSON.stringify(counts)}\n`);
    }
    const after = await atRest(gateway, upstream);
    process.stderr.write(`soak: ${JSON.stringify({ counts, before, after })}\n`);
    assert.equal(await metric(gateway, 'spillway_in_flight'), 0);
    const { upstreams } = (await (await fetch(`${gateway.admin}/admin/upstreams`)).json()) as {
      upstreams: { in_flight: number }[];
    };
    assert.deepEqual(
      upstreams.map(({ in_flight }) => in_flight),
      [0, 0],
    );
    assert.ok(after.sockets <= fresh + 2, `${after.sockets} open files, ${fresh} at the start`);
    assert.ok(
      after.heap - before.heap < LEFT_OVER,
      `the heap grew from ${before.heap} to ${after.heap} bytes`,
    );
    for (const kind of ['whole', 'interrupted', 'left'])
      assert.ok((counts[kind] ?? 0) > 0, `none was ${kind}`);
  } finally {
    gateway.process.kill('SIGTERM');
    if (gateway.process.exitCode === null) await once(gateway.process, 'exit');
    await Promise.all([mock.stop(), upstream.close().catch(() => {})]);
    rmSync(directory, { recursive: true, force: true });
  }
});
