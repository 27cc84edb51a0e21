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
  /** Takes a finished line of level info with its line end, for those that are too many to be formatted twice. Whoever makes it asks `writes` first. */
  line(text: string): void;
  /** Writes out what is still in memory. */
  flush(): void;
}

/** The one that the process itself holds. */
export interface ProcessLog extends Log {
  /** Says in each line that it formats which worker wrote it. */
  setWorker(number: number): void;
  /** Writes whole lines that a worker has finished, whatever their level. */
  relay(lines: string): void;
  /** Nobody reads it any more: nothing more is written. */
  unread(): void;
  /** Resolves when all lines so far have been written, or cannot be. To be waited for before `flush`, which has no end where their reader has gone unnoticed. */
  written(): Promise<void>;
}

/** Lines of requests are gathered up to this before they are written: one system call for many. Characters. */
const GATHER = 32 * 1024;
/** And written after this long in any case. Milliseconds. */
const FLUSH_EVERY = 100;
/** If whoever reads them is too slow, so much is kept; what comes then is lost. Bytes. */
const KEEP = 16 * 1024 * 1024;

export function openLog(level: LogLevel): ProcessLog {
  const destination = pino.destination({ dest: 1, sync: false, maxLength: KEEP });
  // Whoever read the log has gone, perhaps; requests are still to be served.
  let failing = false;
  /** It has been given lines that it has not written yet; who waits for that. */
  let busy = false;
  const waiting: (() => void)[] = [];
  const settle = () => {
    for (const resolve of waiting.splice(0)) resolve();
  };
  destination.on('error', () => {
    failing = true;
    settle();
  });
  destination.on('write', () => {
    failing = false;
  });
  destination.on('drain', () => {
    busy = false;
    settle();
  });
  // The destination looks through all that it holds at each line that it is given: it is given many at a time.
  let gathered = '';
  const handOver = () => {
    if (gathered === '') return;
    busy = true;
    destination.write(gathered);
    gathered = '';
  };
  setInterval(handOver, FLUSH_EVERY).unref();
  const write = (lines: string) => {
    gathered += lines;
    handOver();
  };
  const logger = pino({ level, base: null }, { write });
  const flush = () => {
    // It would try without end.
    if (failing) return;
    try {
      handOver();
      destination.flushSync();
    } catch {
      // Not open yet, or closed by the reader: there is nothing more to do at the end.
    }
  };
  // However the process comes to its end, as long as it ends by itself.
  process.on('exit', flush);
  return {
    debug: (fields, message) => logger.debug(fields, message),
    info: (fields, message) => logger.info(fields, message),
    warn: (fields, message) => logger.warn(fields, message),
    error: (fields, message) => logger.error(fields, message),
    fatal: (fields, message) => logger.fatal(fields, message),
    setLevel: (changed) => {
      logger.level = changed;
    },
    writes: (asked) => logger.isLevelEnabled(asked),
    line: (text) => {
      gathered += text;
      if (gathered.length >= GATHER) handOver();
    },
    setWorker: (number) => logger.setBindings({ worker: number }),
    relay: write,
    unread: () => {
      logger.level = 'silent';
      gathered = '';
      failing = true;
    },
    written: () => {
      handOver();
      return busy && !failing ? new Promise((resolve) => waiting.push(resolve)) : Promise.resolve();
    },
    flush,
  };
}
