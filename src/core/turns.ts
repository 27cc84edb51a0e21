/** Up to here, all that is done with a body before it is sent takes a few milliseconds. Bytes. */
export const LARGE = 1024 * 1024;

/** What is done with a large body is done in steps, between which others have their turn: none of them takes longer than parsing it. */
export function isLarge(body: Buffer): boolean {
  return body.length > LARGE;
}

/** Resolves when all that has come meanwhile has been dealt with. */
export function othersTurn(): Promise<void> {
  return new Promise((resolve) => {
    setImmediate(resolve);
  });
}

/**
 * Does to all that one look at the sockets brings what is next for each, one right after the other, when that look is over. A request runs through most of a megabyte
 * of code, Node's and the system's with it: taken one request at a time, each step would find the processor's caches full of other steps' code.
 */
export class InStep<T> {
  readonly #step: (item: T) => void;
  #items: T[] = [];

  /** `step` must not throw. */
  constructor(step: (item: T) => void) {
    this.#step = step;
  }

  add(item: T): void {
    if (this.#items.push(item) === 1) setImmediate(this.#takeAll);
  }

  readonly #takeAll = (): void => {
    const items = this.#items;
    this.#items = [];
    for (const item of items) this.#step(item);
  };
}
