/** Which choices of a stream have begun, and which have finished: nearly always there is only the first, and no list is kept of one. */
export class Choices {
  /** Of the choice 0. */
  #first: 'absent' | 'begun' | 'finished' = 'absent';
  /** Of the others: true = it has finished. */
  #others: Map<number, boolean> | null = null;
  /** How many have begun and not finished. */
  unfinished = 0;
  finished = 0;

  /** Something of this choice has come; false: it had finished before. */
  goesOn(index: number): boolean {
    const known = this.#isFinished(index);
    if (known === undefined) {
      this.#note(index, false);
      this.unfinished++;
    }
    return known !== true;
  }

  finish(index: number): void {
    const known = this.#isFinished(index);
    if (known === true) return;
    if (known === false) this.unfinished--;
    this.#note(index, true);
    this.finished++;
  }

  /** Undefined: it has not begun. */
  #isFinished(index: number): boolean | undefined {
    if (index !== 0) return this.#others?.get(index);
    return this.#first === 'absent' ? undefined : this.#first === 'finished';
  }

  #note(index: number, isFinished: boolean): void {
    if (index === 0) {
      this.#first = isFinished ? 'finished' : 'begun';
      return;
    }
    this.#others ??= new Map();
    this.#others.set(index, isFinished);
  }
}
