import { OUTCOME_RULES, type OutcomeKind, type TryRecord } from '../core/outcome.ts';

/** `failed`, `broke`: it may be asked once more, having failed before anything of it was told, or having told a part of the answer. */
export type TrackRecord = 'untried' | 'failed' | 'broke' | 'not_again';

/** How one request's targets have done so far, for whom it asks to go on with its answer. By their names: `provider/model`. */
export class TrackRecords {
  readonly #tries: readonly TryRecord[];
  /** How many of the tries were there when the answer broke last. */
  #before = 0;
  /** Up to then, how each target's last try ended. */
  readonly #ends = new Map<string, OutcomeKind>();
  /** How often the answer broke at each. */
  readonly #breaks = new Map<string, number>();

  /** `tries`: of the request, as they come. */
  constructor(tries: readonly TryRecord[]) {
    this.#tries = tries;
  }

  /** The answer broke, and this target had written it. */
  brokeAt(writer: string): void {
    this.#breaks.set(writer, (this.#breaks.get(writer) ?? 0) + 1);
    const wrote = this.#tries.findLastIndex(({ target }) => target === writer);
    for (; this.#before < this.#tries.length; this.#before++) {
      const { target, outcome } = this.#tries[this.#before] as TryRecord;
      // One that the writer left behind was silent for too long; one that was started after the writer only had no time.
      if (outcome !== 'superseded' || this.#before < wrote) this.#ends.set(target, outcome);
    }
  }

  /** As it was when the answer broke last. */
  of(name: string): TrackRecord {
    const end = this.#ends.get(name);
    if (end === undefined) return 'untried';
    const breaks = this.#breaks.get(name) ?? 0;
    if (breaks > 1 || end === 'ok') return 'not_again';
    const { again } = OUTCOME_RULES[end];
    if (breaks === 1) return again === 'no' ? 'not_again' : 'broke';
    // With `other_key` it was left when it had no other.
    return again === 'yes' ? 'failed' : 'not_again';
  }

  /** Since the answer broke last. */
  wasAsked(name: string): boolean {
    return this.#tries.some(({ target }, at) => at >= this.#before && target === name);
  }
}
