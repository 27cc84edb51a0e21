import pino from 'pino';
import { LogOutput } from './log-output.ts';

/** The levels of the log, quietest last. */
export type LogLevel = 'trace' | 'debug' | 'info' | 'warn' | 'error' | 'fatal' | 'silent';

/** The log of the process: JSON lines on standard output. */
export interface Log {
  debug(fields: object, message: string): void;
  info(fields: object, message: string): void;
  warn(fields: object, message: string): void;
  error(fields: object, message: string): void;
  fatal(fields: object, message: string): void;
  setLevel(level: LogLevel): void;
  /** Are lines of this level written? */
  writes(level: LogLevel): boolean;
  /** Takes a finished line of level info with its line end, for those that are too many to be formatted twice. Whoever makes it asks `writes` first. */
  line(text: string): void;
}

/** The one that the process itself holds. */
export interface ProcessLog extends Log {
  /** What is waited for, and so is said at every level but `silent`. */
  announce(fields: object, message: string): void;
  /** Says in each line that it formats which worker wrote it. */
  setWorker(number: number): void;
  /** Writes whole lines that a worker has finished, whatever their level. */
  relay(lines: string): void;
  /** Nobody reads it any more: nothing more is written. */
  unread(): void;
  /** Resolves when all lines so far have been written, or cannot be. Whoever ends the process waits for it, as long as it likes; the rest is written as it exits. */
  written(): Promise<void>;
}

const RANKS: Readonly<Record<string, number>> = pino.levels.values;

/** Opens the log of this process, once: standard output is its own. `level`: the least that is written. */
export function openLog(level: LogLevel): ProcessLog {
  const output = new LogOutput((lines) =>
    logger.error({ lines }, 'log lines lost: nobody took them in time'),
  );
  const write = (lines: string) => output.write(lines);
  const logger = pino({ level, base: null }, { write });
  // However the process comes to its end, as long as it ends by itself.
  process.on('exit', () => output.flush());
  return {
    debug: (fields, message) => logger.debug(fields, message),
    info: (fields, message) => logger.info(fields, message),
    warn: (fields, message) => logger.warn(fields, message),
    error: (fields, message) => logger.error(fields, message),
    fatal: (fields, message) => logger.fatal(fields, message),
    setLevel: (changed) => {
      logger.level = changed;
    },
    writes: (asked) => (RANKS[asked] ?? 0) >= logger.levelVal,
    line: (text) => output.gather(text),
    announce: (fields, message) => {
      const { level } = logger;
      if (level !== 'silent') logger.level = 'info';
      logger.info(fields, message);
      logger.level = level;
    },
    setWorker: (number) => logger.setBindings({ worker: number }),
    relay: write,
    unread: () => {
      logger.level = 'silent';
      output.giveUp();
    },
    written: () => output.written(),
  };
}
