import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import type { TestContext } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { readExposition } from '../support/exposition.ts';
import { onFreePorts, temporaryDirectory } from '../support/process.ts';

const MAIN = fileURLToPath(new URL('../../src/main.ts', import.meta.url));
const COLLECTOR = fileURLToPath(new URL('../support/gc-on-signal.ts', import.meta.url));

/** A gateway in a process of its own, whose memory is looked at. */
export interface SoakedGateway {
  process: ChildProcess;
  url: string;
  admin: string;
}

/** A gateway whose lines are read over: there are as many as streams. */
export async function startGateway(t: TestContext, config: object): Promise<SoakedGateway> {
  const file = join(temporaryDirectory(t), 'soak.yaml');
  writeFileSync(file, JSON.stringify(onFreePorts(config)));
  const args = ['--expose-gc', '--import', COLLECTOR, MAIN, '--config', file];
  const child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'inherit'] });
  t.after(async () => {
    child.kill('SIGKILL');
    if (child.exitCode === null && child.signalCode === null) await once(child, 'exit');
  });
  const lines = createInterface({ input: child.stdout });
  const [line] = (await once(lines, 'line')) as [string];
  const { listen, admin } = JSON.parse(line) as { listen: string; admin: string };
  return { process: child, url: listen, admin };
}

/** Bytes in use when so many requests are under way: the least of several looks, since a collection may be under way. */
export async function memoryOf(gateway: SoakedGateway, inFlight = 0): Promise<number> {
  let least = Number.POSITIVE_INFINITY;
  const until = Date.now() + 20_000;
  for (let looks = 0; looks < 8; ) {
    gateway.process.kill('SIGUSR2');
    await delay(50);
    const response = await fetch(`${gateway.admin}/metrics`, { headers: { connection: 'close' } });
    const { metrics } = readExposition(await response.text());
    const figure = (name: string) => metrics.get(name)?.series[0]?.value ?? Number.NaN;
    if (figure('spillway_in_flight') !== inFlight && Date.now() < until) continue;
    assert.equal(figure('spillway_in_flight'), inFlight);
    looks++;
    const used = figure('nodejs_heap_size_used_bytes') + figure('nodejs_external_memory_bytes');
    assert.ok(used > 0);
    least = Math.min(least, used);
  }
  return least;
}
