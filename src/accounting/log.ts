import pino from 'pino';

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
  /** Takes a finished line of level info with its line end, for those that are too many to be formatted twice. */
  line(text: string): void;
  /** Writes out what is still in memory. */
  flush(): void;
}

/** Lines are gathered up to this before they are written: one system call for many requests. The destination writes 16 KB at a time at most. Bytes. */
const GATHER = 12 * 1024;
/** And written after this long in any case. Milliseconds. */
const FLUSH_EVERY = 100;
/** If whoever reads them is too slow, so much is kept; what comes then is lost. Bytes. */
const KEEP = 16 * 1024 * 1024;

export function openLog(level: LogLevel): Log {
  const destination = pino.destination({ dest: 1, sync: false, minLength: GATHER, maxLength: KEEP });
  // Whoever read the log has gone; requests are still to be served.
  destination.on('error', () => {});
  const logger = pino({ level, base: null }, destination);
  setInterval(() => destination.flush(), FLUSH_EVERY).unref();
  const write = (log: (fields: object, message: string) => void) => (fields: object, message: string) => {
    log.call(logger, fields, message);
    destination.flush();
  };
  return {
    debug: write(logger.debug),
    info: write(logger.info),
    warn: write(logger.warn),
    error: write(logger.error),
    fatal: write(logger.fatal),
    setLevel: (changed) => {
      logger.level = changed;
    },
    writes: (asked) => logger.isLevelEnabled(asked),
    line: (text) => {
      if (logger.isLevelEnabled('info')) destination.write(text);
    },
    flush: () => {
      try {
        destination.flushSync();
      } catch {
        // Not open yet, or closed by the reader: there is nothing more to do at the end.
      }
    },
  };
}
