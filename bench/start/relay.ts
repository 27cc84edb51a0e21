import { join } from 'node:path';
import { KEEP_SHAPES } from '../../src/app/compiled-code.ts';
import { PATHS } from '../loads.ts';
import { Running } from '../process.ts';
import type { Start } from './start.ts';

/** One of `relays/`. It keeps its compiled code while others are measured, as Spillway does: to wait two minutes for its turn would make it cost more than twice as much. */
export function startRelay(name: string): Start {
  return async ({ upstream, scratch, label, node, env }) => {
    const running = new Running({
      command: process.execPath,
      args: [...node, KEEP_SHAPES, join(import.meta.dirname, '../relays', `${name}.ts`), upstream],
      env: { NODE_ENV: 'production', ...env },
      logFile: join(scratch, `${label}.log`),
    });
    const origin = await running.listening();
    return {
      running,
      url: (dialect) => origin + PATHS[dialect],
      headers: {},
      otherHeaders: {},
      stop: (patience) => running.stop(patience),
    };
  };
}
