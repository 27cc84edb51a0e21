import { randomBytes } from 'node:crypto';
import { cpSync, existsSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { buildInto } from '../../tools/build.ts';
import { findRedis } from '../../tools/redis/find.ts';
import { PATHS } from '../loads.ts';
import { accepts, freePort, Running } from '../process.ts';
import type { Start } from './start.ts';
import { configuration, type Variant } from './variant.ts';

const ROOT = join(import.meta.dirname, '../..');

export function startSpillway(variant: Variant): Start {
  return async ({ upstream, scratch, label, node, env }) => {
    // A `models.yaml` or `prices.yaml` beside a configuration would be read with it: rows have such names.
    const config = join(scratch, `spillway-${label}.yaml`);
    writeFileSync(config, JSON.stringify(configuration(variant)));
    const program = variant.built ? await built(scratch) : join(ROOT, 'src/main.ts');
    const key = newKey();
    const otherKey = newKey();
    const store = variant.redis ? await startRedis(scratch, label) : null;
    const running = new Running({
      command: process.execPath,
      args: [...node, program, '--config', config, '--listen', '127.0.0.1:0', '--admin', '127.0.0.1:0'],
      env: {
        NODE_ENV: 'production',
        BENCH_UPSTREAM: upstream,
        BENCH_OTHER_UPSTREAM: upstream,
        BENCH_KEY: key,
        BENCH_OTHER_KEY: otherKey,
        BENCH_REDIS: store?.url ?? '',
        ...env,
      },
      logFile: join(scratch, `${label}.log`),
    });
    const stop = async (patience?: number) => {
      await running.stop(patience);
      await store?.running.stop();
    };
    try {
      const origin = await running.listening();
      return {
        running,
        url: (dialect) => origin + PATHS[dialect],
        headers: { authorization: `Bearer ${key}` },
        otherHeaders: { authorization: `Bearer ${otherKey}` },
        stop,
      };
    } catch (error) {
      await stop();
      throw error;
    }
  };
}

/** Builds it, once, beside what it looks for. */
async function built(scratch: string): Promise<string> {
  const program = join(scratch, 'package/dist/main.js');
  if (existsSync(program)) return program;
  await buildInto(join(scratch, 'package/dist'));
  for (const part of ['config', 'package.json']) {
    cpSync(join(ROOT, part), join(scratch, 'package', part), { recursive: true });
  }
  symlinkSync(join(ROOT, 'node_modules'), join(scratch, 'package/node_modules'));
  return program;
}

function newKey(): string {
  return `sk-bench-${randomBytes(16).toString('hex')}`;
}

/** One process without a file, on this machine: what is measured is what it costs the gateway to ask. */
async function startRedis(scratch: string, label: string): Promise<{ url: string; running: Running }> {
  const server = await findRedis();
  const port = await freePort();
  const kept = ['--save', '', '--appendonly', 'no', '--dir', scratch];
  const running = new Running({
    command: server,
    args: ['--port', String(port), '--bind', '127.0.0.1', ...kept],
    logFile: join(scratch, `${label}-redis-server.log`),
  });
  await running.ready(() => accepts(port));
  return { url: `redis://127.0.0.1:${port}`, running };
}
