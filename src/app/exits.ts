import type { Log, ProcessLog } from '../accounting/log.ts';
import { systemClock } from '../core/clock.ts';

/** Exit status for a faulty configuration, or a fault of the process. */
export const FAULTY = 1;
/** A second SIGTERM or SIGINT: 128 + 15, as a shell has it. */
export const TERMINATED = 143;

/** Whoever reads the log has so long to take its last lines; then the process ends hard. Milliseconds. */
const LAST_LINES = 1000;

/** Ends the process as soon as its last lines have been taken. */
export async function exitWith(status: number, log: Pick<ProcessLog, 'written'>): Promise<void> {
  const late = new Promise<boolean>((resolve) => systemClock.schedule(LAST_LINES, () => resolve(false)));
  const isWritten = await Promise.race([log.written().then(() => true), late]);
  // Node does not exit before a write has come to its end, and one that is not read never does.
  if (!isWritten) process.kill(process.pid, 'SIGKILL');
  process.exit(status);
}

/** Ends the process at an error that nobody caught, which may have left anything half done. Returns what does it, for errors that nobody else is to catch. */
export function endAtFaults(log: Log & Pick<ProcessLog, 'written'>): (error: unknown) => void {
  const fault = (error: unknown) => {
    log.fatal({ err: error }, 'uncaught error: the process ends');
    void exitWith(FAULTY, log);
  };
  process.on('uncaughtException', fault);
  process.on('unhandledRejection', fault);
  return fault;
}
