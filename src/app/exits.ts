import type { Log } from '../accounting/log.ts';

/** Exit status for a faulty configuration, or a fault of the process. */
export const FAULTY = 1;
/** A second SIGTERM or SIGINT: 128 + 15, as a shell has it. */
export const TERMINATED = 143;

/** Ends the process at an error that nobody caught, which may have left anything half done. Returns what does it, for errors that nobody else is to catch. */
export function endAtFaults(log: Log): (error: unknown) => void {
  const fault = (error: unknown) => {
    log.fatal({ err: error }, 'uncaught error: the process ends');
    log.flush();
    process.exit(FAULTY);
  };
  process.on('uncaughtException', fault);
  process.on('unhandledRejection', fault);
  return fault;
}
