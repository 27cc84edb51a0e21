import type { Log } from '../accounting/log.ts';
import type { Chance, Clock, Timer } from '../core/clock.ts';
import { Pauses } from './pauses.ts';
import type { Start } from './questions.ts';
import { WorkerGone, type WorkerProcess, WorkerSilent } from './worker-process.ts';

/** What a slot needs of the fleet that it is one of. */
export interface SlotOptions {
  number: number;
  clock: Clock;
  chance: Chance;
  log: Log;
  /** A new process, when one may be made. Null: not any more. */
  fork(number: number): Promise<WorkerProcess | null>;
  /** With what it is to begin. */
  start(number: number): Omit<Start, 'number'>;
  /** It accepts requests at this URL. A problem with that, or null. */
  accepts(url: string): string | null;
  /** It ended without having been told to. */
  died(worker: WorkerProcess): void;
}

/** From its start until it accepts requests; Redis may be slow. Milliseconds. */
const START_LIMIT = 60_000;
/** How often a worker is asked whether it is still there. Milliseconds. */
const ASK_EVERY = 2_000;
/** So many questions in a row without an answer are half a minute: it hangs. */
const MOST_UNANSWERED = 8;

/** The place of one worker: whoever dies in it is replaced. */
export class Slot {
  readonly number: number;
  readonly #options: SlotOptions;
  readonly #pauses: Pauses;
  #worker: WorkerProcess | null = null;
  #accepts = false;
  /** The first one came to accept requests. */
  #begun = false;
  /** Settles when the worker that begins accepts requests, or has ended without. */
  #beginning: Promise<unknown> = Promise.resolve();
  #timer: Timer | null = null;
  #notReady: string | null = null;
  /** So many questions in a row has its worker not answered. */
  #unanswered = 0;
  #over = false;
  /** Resolves when the last of its processes has ended. */
  #ended: Promise<unknown> = Promise.resolve();

  constructor(options: SlotOptions) {
    this.#options = options;
    this.number = options.number;
    this.#pauses = new Pauses(options.chance);
  }

  /** The worker that accepts requests; null: none does just now. */
  get accepting(): WorkerProcess | null {
    return this.#accepts ? this.#worker : null;
  }

  /** Its worker did not answer when it was asked last: it is busy, or hangs. */
  get silent(): boolean {
    return this.#unanswered > 0;
  }

  /** What its worker said last. */
  get notReady(): string | null {
    return this.#notReady;
  }

  /** Settles when nobody is about to begin here. Never rejects. */
  get settled(): Promise<unknown> {
    return this.#beginning;
  }

  /** Begins; rejects where the first worker does not come to accept requests. Afterwards each that dies is replaced. */
  async begin(): Promise<void> {
    const worker = await this.#fork();
    if (worker !== null) await this.#raise(worker, (error) => Promise.reject(error));
  }

  /** Nobody is replaced from now on. Who accepts requests is told to drain, and is killed if it takes longer than that. Resolves when all have ended. */
  async drain(within: number): Promise<void> {
    this.#over = true;
    this.#timer?.cancel();
    const { accepting } = this;
    if (accepting === null) this.#worker?.kill();
    else {
      await accepting.ask('drain', null, within).catch((error: unknown) => {
        if (!(error instanceof WorkerSilent)) return;
        this.#options.log.error({ worker: this.number, pid: accepting.pid }, 'a worker did not end: killed');
        accepting.kill();
      });
    }
    await this.#ended;
  }

  /** Ends its process at once. */
  kill(): void {
    this.#over = true;
    this.#timer?.cancel();
    this.#worker?.kill();
  }

  async #fork(): Promise<WorkerProcess | null> {
    const worker = await this.#options.fork(this.number);
    if (this.#over) worker?.kill();
    if (worker === null || this.#over) return null;
    this.#worker = worker;
    this.#accepts = false;
    this.#notReady = null;
    this.#unanswered = 0;
    return worker;
  }

  /** Brings a new process to accept requests, and sees to its end. `failed`: what is done where it does not come so far. */
  #raise(worker: WorkerProcess, failed: (error: unknown) => Promise<void>): Promise<void> {
    const { clock, start, accepts } = this.#options;
    const born = clock.now();
    this.#ended = worker.ended.then((ending) => {
      this.#accepts = false;
      this.#worker = null;
      this.#timer?.cancel();
      if (this.#begun && !this.#over) this.#replace(worker, clock.now() - born, ending);
    });
    const begun = worker
      .ask('start', { number: this.number, ...start(this.number) }, START_LIMIT)
      .then(({ listen }) => {
        const problem = accepts(listen);
        if (problem !== null) throw new Error(problem);
        this.#accepts = true;
        this.#begun = true;
        this.#watch(worker);
      })
      .catch((error: unknown) => {
        worker.kill();
        return failed(error);
      });
    this.#beginning = begun.catch(() => {});
    return begun;
  }

  #replace(worker: WorkerProcess, lived: number, ending: object): void {
    const { clock, log, died } = this.#options;
    const pause = this.#pauses.after(lived);
    log.error(
      { worker: worker.number, pid: worker.pid, ...ending, lived_ms: Math.round(lived), pause_ms: pause },
      'a worker ended: another takes its place',
    );
    died(worker);
    this.#timer = clock.schedule(pause, () => void this.#another());
  }

  async #another(): Promise<void> {
    const { log } = this.#options;
    const worker = await this.#fork();
    if (worker === null) return;
    await this.#raise(worker, async (error) => {
      // Its end is said where it is replaced.
      if (error instanceof WorkerGone) return;
      log.error(
        { worker: this.number, pid: worker.pid, err: error },
        'a worker did not come to accept requests',
      );
    });
    if (this.#accepts) log.info({ worker: this.number, pid: worker.pid }, 'a worker accepts requests again');
  }

  /** Asks again and again, one question at a time: who hangs is ended, and so replaced. */
  #watch(worker: WorkerProcess): void {
    const { clock } = this.#options;
    this.#timer = clock.schedule(ASK_EVERY, () => {
      worker
        .ask('notReady', null, ASK_EVERY)
        .then(
          (notReady) => {
            this.#notReady = notReady;
            return false;
          },
          (error: unknown) => error instanceof WorkerSilent,
        )
        .then((silent) => {
          if (this.accepting === worker) this.#heard(worker, silent);
        });
    });
  }

  #heard(worker: WorkerProcess, silent: boolean): void {
    const { log } = this.#options;
    const about = { worker: this.number, pid: worker.pid };
    const before = this.#unanswered;
    this.#unanswered = silent ? before + 1 : 0;
    if (this.#unanswered >= MOST_UNANSWERED) {
      log.error(about, 'a worker does not answer any more: killed');
      worker.kill();
      return;
    }
    if (silent && before === 0) log.warn(about, 'a worker does not answer');
    if (!silent && before > 0) log.info(about, 'a worker answers again');
    this.#watch(worker);
  }
}
