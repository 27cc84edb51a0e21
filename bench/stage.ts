/** What every run needs, and what is put away after it: the stand-in provider, and a directory. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Running, stopAll } from './process.ts';

export interface Stage {
  /** The stand-in's origin. */
  upstream: string;
  scratch: string;
}

export async function withStage<T>(work: (stage: Stage) => Promise<T>): Promise<T> {
  const scratch = mkdtempSync(join(tmpdir(), 'spillway-bench-'));
  const cleanUp = async () => {
    await stopAll();
    rmSync(scratch, { recursive: true, force: true });
  };
  const interrupted = () => void cleanUp().then(() => process.exit(130));
  process.once('SIGINT', interrupted).once('SIGTERM', interrupted);
  try {
    const upstream = new Running({
      command: process.execPath,
      args: [join(import.meta.dirname, 'upstream.ts')],
      logFile: join(scratch, 'upstream.log'),
    });
    return await work({ upstream: await upstream.listening(), scratch });
  } finally {
    process.off('SIGINT', interrupted).off('SIGTERM', interrupted);
    await cleanUp();
  }
}
