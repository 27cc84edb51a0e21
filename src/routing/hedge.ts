import type { HedgeSettings } from './tree.ts';

/** A share is counted in millionths, so that twenty times five hundredths are one. */
const ONE = 1_000_000;

/** So many second targets are on loan at the start: the first slow request of a fresh process need not wait for those before it to have paid. */
const LOAN = 3;

/** So many can be saved up at most: what a good hour did not need must not come down on the second target at once in a bad one. */
const LONGEST_BURST = 10;

/**
 * Bounds what hedges add to the load, for all requests at one node together. Each request earns `maxExtra` of a second target.
 *
 * - Of the first n requests of all, h ≤ max(3, maxExtra × n) are given a second target: the three on loan are paid back before more
 *   is earned.
 * - Wherever the count begins, h ≤ 10 + maxExtra × n, where n are the requests that come and those that were under way already: what
 *   a request earned is not lost before it is over, for it may be the one to need it.
 *
 * With a `maxExtra` of 0, h is 0. It is taken to the nearest millionth.
 */
export class HedgeBudget {
  readonly #share: number;
  /** Earned and not spent, in millionths of a second target; below 0 while the loan is paid back. */
  #balance = 0;
  #started = 0;
  #underWay = 0;

  /** Throws a RangeError if the share is not within 0 and 1. */
  constructor(maxExtra: number) {
    if (!(maxExtra >= 0 && maxExtra <= 1)) {
      throw new RangeError(`maxExtra must be from 0 to 1, got ${maxExtra}`);
    }
    this.#share = Math.round(maxExtra * ONE);
  }

  /** A request has come to the node. */
  begun(): void {
    this.#underWay++;
    this.#balance += this.#share;
    this.#cut();
  }

  /** A request has left the node, answered or not. */
  over(): void {
    this.#underWay--;
    this.#cut();
  }

  /** Takes one second target. False: the budget is spent, do not start it. */
  take(): boolean {
    const onLoan = this.#started < LOAN && this.#share > 0;
    if (this.#balance < ONE && !onLoan) return false;
    this.#balance -= ONE;
    this.#started++;
    return true;
  }

  /** What was taken was not used: nothing was sent. */
  giveBack(): void {
    this.#balance += ONE;
    this.#started--;
    this.#cut();
  }

  #cut(): void {
    this.#balance = Math.min(this.#balance, LONGEST_BURST * ONE + this.#underWay * this.#share);
  }
}

/** The budgets of all nodes that hedge. One for the process; a budget goes with the configuration that its node stands in. */
export class Hedges {
  readonly #budgets = new WeakMap<HedgeSettings, HedgeBudget>();

  of(settings: HedgeSettings): HedgeBudget {
    const known = this.#budgets.get(settings);
    if (known !== undefined) return known;
    const made = new HedgeBudget(settings.maxExtra);
    this.#budgets.set(settings, made);
    return made;
  }
}
