/** Loaded into a process (with --expose-gc): on SIGUSR2 collects what is no longer used, and writes down what is left. */
import { renameSync, writeFileSync } from 'node:fs';

const file = process.env['BENCH_MEMORY_FILE'] ?? '';

process.on('SIGUSR2', () => {
  const { gc } = globalThis as { gc?: () => void };
  // Twice: buffers are let go of by what the first one collects.
  gc?.();
  setTimeout(() => {
    gc?.();
    const { heapUsed, external } = process.memoryUsage();
    writeFileSync(`${file}.part`, String(heapUsed + external));
    renameSync(`${file}.part`, file);
  }, 50);
});
