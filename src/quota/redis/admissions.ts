import { StateUnavailable } from '../../state/unavailable.ts';
import type { Admission, Verdict } from '../store.ts';
import { Answer, wordsOf } from './admit-words.ts';
import { SCRIPTS } from './scripts.ts';
import type { Shared } from './shared.ts';

/** Most of each in one call, so that Redis is never kept busy by one for longer than a millisecond or two. */
const MOST = { admissions: 50, demands: 200 };

/** What is held for the tenant by this gateway: its account. */
export interface Holder {
  /** Of all scripts. */
  readonly keys: readonly [string, string, string];
  /** When the oldest request was admitted, if the lease is to be renewed; then it is told how that went. */
  readonly toRenew: number | null;
  renewed(): void;
  notRenewed(): void;
  /** An admission is about to be asked for, or was given. */
  holds(id: string, at: number): void;
  /** It was refused. */
  drops(id: string): void;
  /** Whether it was given cannot be known; `notAfter` is when it can no longer happen, by Redis' own clock. */
  doubts(id: string, notAfter: number): void;
}

interface Waiting {
  admission: Admission;
  resolve(verdict: Verdict): void;
  reject(error: StateUnavailable): void;
}

/** Of one tenant. What is asked for in one turn of the event loop goes to Redis in one call, in its order, each with a verdict of its own. */
export class Admissions {
  readonly #account: Holder;
  readonly #shared: Shared;
  #waiting: Waiting[] = [];

  constructor(account: Holder, shared: Shared) {
    this.#account = account;
    this.#shared = shared;
  }

  /** It goes with the next `send`. Rejects with StateUnavailable. */
  ask(admission: Admission): Promise<Verdict> {
    // From now on: an account that holds something is not forgotten.
    this.#account.holds(admission.id, this.#shared.time(this.#account.keys[0]));
    return new Promise((resolve, reject) => {
      this.#waiting.push({ admission, resolve, reject });
    });
  }

  send(): void {
    if (this.#waiting.length === 0) return;
    const waiting = this.#waiting;
    this.#waiting = [];
    for (let from = 0; from < waiting.length; ) {
      const to = endOfBatch(waiting, from);
      void this.#ask(waiting.slice(from, to));
      from = to;
    }
  }

  /** What was not sent yet never will be. */
  close(): void {
    for (const { admission, reject } of this.#waiting.splice(0)) {
      this.#account.drops(admission.id);
      reject(new StateUnavailable('the store is closed'));
    }
  }

  /** Never rejects. */
  async #ask(batch: readonly Waiting[]): Promise<void> {
    const words = wordsOf(batch.map(({ admission }) => admission));
    // Late only if Redis' clock is not what it is taken for: it says what it is, so the second time will do.
    let now = this.#shared.client.time(this.#account.keys[0]);
    for (let tries = 0; tries < 2; tries++) {
      const answer = await this.#run(batch, words, now);
      if (answer === null) return;
      if (answer.number() === 1) return this.#tell(batch, answer);
      this.#account.notRenewed();
      now = answer.number();
    }
    this.#refuse(batch, new StateUnavailable('Redis does not keep time'));
    for (const { admission } of batch) this.#account.drops(admission.id);
  }

  /** One try: see `lua-admit.ts`. `now`: by Redis' own clock. Null if nobody knows what became of it: all are told. */
  async #run(
    batch: readonly Waiting[],
    words: readonly (string | number)[],
    now: number,
  ): Promise<Answer | null> {
    const { client, gateway, handed, commandTimeout } = this.#shared;
    const account = this.#account;
    // As long as the call lasts, and what `now` may be behind by: after that nobody waits for the answer.
    const notAfter = Math.ceil(now + 2 * commandTimeout);
    const toRenew = account.toRenew;
    if (toRenew !== null) account.renewed();
    try {
      const head = [handed(), notAfter, gateway, toRenew ?? ''];
      return new Answer(await client.run(SCRIPTS.admit, account.keys, [...head, ...words]));
    } catch (error) {
      if (toRenew !== null) account.notRenewed();
      for (const { admission } of batch) account.doubts(admission.id, notAfter);
      this.#refuse(batch, this.#shared.asUnavailable(error));
      return null;
    }
  }

  #tell(batch: readonly Waiting[], answer: Answer): void {
    for (const { admission, resolve } of batch) {
      const verdict = answer.verdict(admission);
      if (verdict.kind === 'admitted') this.#account.holds(admission.id, verdict.ticket.at);
      else this.#account.drops(admission.id);
      resolve(verdict);
    }
  }

  #refuse(batch: readonly Waiting[], error: StateUnavailable): void {
    for (const { reject } of batch) reject(error);
  }
}

/** One at least, however much it asks for. */
function endOfBatch(waiting: readonly Waiting[], from: number): number {
  let demands = 0;
  let to = from;
  while (to < waiting.length && to - from < MOST.admissions) {
    demands += waiting[to]?.admission.demands.length ?? 0;
    if (to > from && demands > MOST.demands) break;
    to += 1;
  }
  return to;
}
