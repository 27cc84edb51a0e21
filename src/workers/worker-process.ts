import type { ChildProcess } from 'node:child_process';
import type { Worker } from 'node:cluster';
import type { Clock, Timer } from '../core/clock.ts';
import { received } from './errors.ts';
import type { Answer, Kind, Question, Questions } from './questions.ts';
import { WholeLines } from './whole-lines.ts';

/** A worker ended before it answered. */
export class WorkerGone extends Error {}

/** A worker did not answer in time. It may be busy, or hang. */
export class WorkerSilent extends Error {}

export interface Ending {
  code: number | null;
  signal: NodeJS.Signals | null;
}

interface Waiting {
  resolve(answer: unknown): void;
  reject(error: Error): void;
  timer: Timer;
}

/** A worker as the primary sees it: a process that is asked, and ends at some time. */
export class WorkerProcess {
  readonly number: number;
  readonly pid: number;
  /** Resolves when it has ended and all that it wrote has been read. */
  readonly ended: Promise<Ending>;
  readonly #worker: Worker;
  readonly #clock: Clock;
  readonly #waiting = new Map<number, Waiting>();
  #questions = 0;
  #gone = false;

  /** `write` is given what it writes to its standard output, in whole lines, where that is this process's to read. */
  constructor(worker: Worker, number: number, clock: Clock, write: (lines: string) => void) {
    this.#worker = worker;
    this.#clock = clock;
    this.number = number;
    const child = worker.process;
    this.pid = child.pid ?? 0;
    const lines = new WholeLines(write);
    child.stdout?.setEncoding('utf8').on('data', (text: string) => lines.take(text));
    closeWhatIsLost(child);
    child.on('message', (answer: Answer) => this.#answered(answer));
    // Of a process that could not be started, and of questions that it was too late for: `close` says the rest.
    child.on('error', () => {});
    this.ended = new Promise((resolve) => {
      child.once('close', (code, signal) => {
        this.#gone = true;
        const gone = new WorkerGone(`worker ${number} has ended`);
        for (const { reject, timer } of this.#waiting.values()) {
          timer.cancel();
          reject(gone);
        }
        this.#waiting.clear();
        resolve({ code, signal });
      });
    });
  }

  /** Rejects with WorkerGone, with WorkerSilent after so many milliseconds, or with what the worker rejects with. */
  ask<K extends Kind>(
    kind: K,
    asked: Questions[K]['asked'],
    within: number,
  ): Promise<Questions[K]['answer']> {
    return new Promise((resolve, reject) => {
      if (this.#gone) {
        reject(new WorkerGone(`worker ${this.number} has ended`));
        return;
      }
      const id = this.#questions++;
      const timer = this.#clock.schedule(within, () => {
        this.#waiting.delete(id);
        reject(new WorkerSilent(`worker ${this.number} did not answer within ${within} ms`));
      });
      this.#waiting.set(id, {
        resolve: (answer) => resolve(answer as Questions[K]['answer']),
        reject,
        timer,
      });
      const question: Question<K> = { id, kind, asked };
      // One that is about to end takes no more questions: its end answers this one.
      this.#worker.process.send(question, () => {});
    });
  }

  /** Ends it at once. */
  kill(): void {
    this.#worker.process.kill('SIGKILL');
  }

  #answered(answer: Answer): void {
    const waiting = this.#waiting.get(answer.id);
    if (waiting === undefined) return;
    this.#waiting.delete(answer.id);
    waiting.timer.cancel();
    if ('error' in answer) waiting.reject(received(answer.error));
    else waiting.resolve(answer.answer);
  }
}

/**
 * Node forgets a connection whose worker dies before it has said that it took it: it would stay open, and its client would wait for
 * ever. One at a time is on its way to a worker; closing one that was taken does nothing.
 */
function closeWhatIsLost(child: ChildProcess): void {
  const send = child.send.bind(child) as (...given: readonly unknown[]) => boolean;
  let last: { close(): void } | null = null;
  child.send = (message: unknown, handle?: unknown, ...more: unknown[]) => {
    if (typeof handle === 'object' && handle !== null && 'close' in handle)
      last = handle as { close(): void };
    return send(message, handle, ...more);
  };
  child.once('exit', () => last?.close());
}
