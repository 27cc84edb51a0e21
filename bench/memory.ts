/** Memory of a process, after a collection where it is one that `collector.ts` was loaded into. */
import { existsSync, readFileSync, rmSync } from 'node:fs';
import type { Running } from './process.ts';

/** The name of the variable that says where the collector writes to. */
export const MEMORY_FILE = 'BENCH_MEMORY_FILE';

export interface Memory {
  rssBytes: number;
  /** JavaScript's heap and its buffers; NaN where there are none. */
  heapBytes: number;
}

const PATIENCE_MS = 5000;

/** nginx, which has no collector, is looked at as it is. */
export async function memoryAfterCollection(running: Running, file: string): Promise<Memory> {
  rmSync(file, { force: true });
  if (running.isNode) {
    running.signal('SIGUSR2');
    const giveUp = performance.now() + PATIENCE_MS;
    while (!existsSync(file) && performance.now() < giveUp) {
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  }
  const rssBytes = running.usage().rssBytes;
  const heapBytes = existsSync(file) ? Number(readFileSync(file, 'utf8')) : Number.NaN;
  return { rssBytes, heapBytes };
}
