/** First in, first out, without moving all the others up each time. */
export class Fifo<T> {
  #items: (T | undefined)[] = [];
  /** Where the first that is still there stands. */
  #start = 0;

  get length(): number {
    return this.#items.length - this.#start;
  }

  get first(): T | undefined {
    return this.#items[this.#start];
  }

  push(item: T): void {
    this.#items.push(item);
  }

  /** It must not be empty. */
  shift(): T {
    const item = this.#items[this.#start] as T;
    // Else it would be kept in memory, with all that it holds, until the others are moved up.
    this.#items[this.#start++] = undefined;
    // So seldom that each is moved up once on the average.
    if (this.#start > 64 && this.#start * 2 > this.#items.length) {
      this.#items = this.#items.slice(this.#start);
      this.#start = 0;
    }
    return item;
  }
}
