import cluster from 'node:cluster';
import { setImmediate as nextTurn } from 'node:timers/promises';
import type { ProcessLog } from '../accounting/log.ts';
import type { Chance, Clock } from '../core/clock.ts';
import { programFile } from '../core/program-file.ts';
import { outputIsFile } from './output.ts';
import type { Kind, Questions, Start } from './questions.ts';
import { Slot } from './slot.ts';
import { WorkerProcess } from './worker-process.ts';

export interface FleetOptions {
  count: number;
  clock: Clock;
  chance: Chance;
  log: ProcessLog;
  /** With what a worker that begins now is to begin. `port`: that of the listener for clients. */
  start(port: number): Omit<Start, 'number'>;
  /** The port that was asked for; 0 = a free one. */
  port: number;
  died(worker: WorkerProcess): void;
}

/** What a worker runs. */
const WORKER = programFile('workers/begin');

/** All workers, each in its slot. They share one port, which this process holds, and gives each connection to the next of them. */
export class Fleet {
  readonly #options: FleetOptions;
  readonly #slots: readonly Slot[];
  /** That workers ask for; 0 = a free one. */
  #port: number;
  /** As the workers say it; empty until the first one accepts requests. */
  #url = '';
  /** While it is there nobody begins. */
  #closed: Promise<void> | null = null;
  #over = false;

  constructor(options: FleetOptions) {
    this.#options = options;
    this.#port = options.port;
    cluster.schedulingPolicy = cluster.SCHED_RR;
    // Lines that would get mixed up come through this process.
    const output = outputIsFile() ? 'inherit' : 'pipe';
    cluster.setupPrimary({
      exec: WORKER,
      args: [],
      stdio: ['ignore', output, 'inherit', 'ipc'],
      serialization: 'advanced',
    });
    const { clock, chance, log, died } = options;
    this.#slots = Array.from({ length: options.count }, (_, i) => {
      const accepts = (url: string) => this.#accepts(url);
      const start = () => options.start(this.#portToAskFor());
      return new Slot({
        number: i + 1,
        clock,
        chance,
        log,
        accepts,
        start,
        died,
        fork: (number) => this.#fork(number),
      });
    });
  }

  /** Resolves to the URL that all of them accept requests at; rejects where the first process of any slot does not come so far. */
  async begin(): Promise<string> {
    await Promise.all(this.#slots.map((slot) => slot.begin()));
    return this.#url;
  }

  /** Those that accept requests. */
  get accepting(): WorkerProcess[] {
    return this.#slots.flatMap(({ accepting }) => (accepting === null ? [] : [accepting]));
  }

  /** One of them for what any can do: best one that answered when it was asked last. */
  get anyone(): WorkerProcess | null {
    const heard = this.#slots.find((slot) => slot.accepting !== null && !slot.silent);
    return heard?.accepting ?? this.accepting[0] ?? null;
  }

  /** What is in the way of one that accepts requests, as it said last. */
  lastNotReady({ number }: WorkerProcess): string | null {
    return this.#slots[number - 1]?.notReady ?? null;
  }

  /** Asks all that accept requests; null for one that has ended meanwhile, or does not answer in time. Rejects with what a worker rejects with. */
  async askAll<K extends Kind>(
    kind: K,
    asked: Questions[K]['asked'],
    within: number,
    otherwise: (worker: WorkerProcess, error: unknown) => Questions[K]['answer'] | null,
  ): Promise<Questions[K]['answer'][]> {
    const answers = await Promise.all(
      this.accepting.map(async (worker) => {
        try {
          return { answer: await worker.ask(kind, asked, within) };
        } catch (error) {
          const answer = otherwise(worker, error);
          return answer === null ? null : { answer };
        }
      }),
    );
    return answers.flatMap((one) => (one === null ? [] : [one.answer]));
  }

  /** Does something with those that accept requests while nobody begins. */
  async alone<T>(work: (workers: readonly WorkerProcess[]) => Promise<T>): Promise<T> {
    while (this.#closed !== null) await this.#closed;
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#closed = promise;
    try {
      // Whoever was let begin just before is known to its slot by then.
      await nextTurn();
      await Promise.all(this.#slots.map(({ settled }) => settled));
      return await work(this.accepting);
    } finally {
      this.#closed = null;
      resolve();
    }
  }

  /** Nobody is replaced any more, and everybody drains: whoever takes longer than so many milliseconds is killed. */
  async drain(within: number): Promise<void> {
    this.#over = true;
    await Promise.all(this.#slots.map((slot) => slot.drain(within)));
  }

  /** Ends all at once. */
  kill(): void {
    this.#over = true;
    for (const slot of this.#slots) slot.kill();
  }

  async #fork(number: number): Promise<WorkerProcess | null> {
    while (this.#closed !== null) await this.#closed;
    if (this.#over) return null;
    const { clock, log } = this.#options;
    return new WorkerProcess(cluster.fork(), number, clock, (lines) => log.relay(lines));
  }

  /**
   * The listener is known by the port that was asked for, and lives as long as one worker has it. With nobody left, a free port would be
   * another one: from then on all ask for the one that it was.
   */
  #portToAskFor(): number {
    if (this.#url !== '' && this.accepting.length === 0) this.#port = Number(new URL(this.#url).port);
    return this.#port;
  }

  #accepts(url: string): string | null {
    if (this.#url === '') this.#url = url;
    return url === this.#url ? null : `it accepts requests at ${url}, the others at ${this.#url}`;
  }
}
