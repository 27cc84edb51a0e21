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

/** 128 + 2, as a shell has it. */
const INTERRUPTED = 130;

export async function withStage<T>(work: (stage: Stage) => Promise<T>): Promise<T> {
  const scratch = mkdtempSync(join(tmpdir(), 'spillway-bench-'));
  const cleanUp = async () => {
    await stopAll();
    rmSync(scratch, { recursive: true, force: true });
  };
  let ending: Promise<never> | null = null;
  const interrupted = () => {
    ending ??= cleanUp().then(() => process.exit(INTERRUPTED));
  };
  process.once('SIGINT', interrupted).once('SIGTERM', interrupted);
  try {
    const upstream = startStandIn(scratch, 'upstream');
    return await work({ upstream: await upstream.listening(), scratch });
  } finally {
    // What it was doing has failed for want of processes, and nobody wants to read that.
    if (ending !== null) await ending;
    process.off('SIGINT', interrupted).off('SIGTERM', interrupted);
    await cleanUp();
  }
}

/** The stand-in provider. `label`: what its files are called. */
export function startStandIn(scratch: string, label: string): Running {
  return new Running({
    command: process.execPath,
    args: [join(import.meta.dirname, 'upstream.ts')],
    logFile: join(scratch, `${label}.log`),
  });
}
