import type { Prepared } from '../app/current.ts';

type Ready = Extract<Prepared, { ok: true }>;

/** What a worker has prepared, and is to take over: the last that it was asked for. */
export class Preparation {
  #ready: Ready | null = null;
  /** How many were asked for. */
  #asked = 0;

  /** Resolves to what stands against it. */
  async begin(prepare: () => Promise<Prepared>): Promise<string[]> {
    this.#ready = null;
    const number = ++this.#asked;
    const found = await prepare();
    if (!found.ok) return found.problems;
    // One that the primary has given up on is not to take the place of the next.
    if (number === this.#asked) this.#ready = found;
    return [];
  }

  /** Once; throws where there is nothing, or what taking it over throws. */
  take(): void {
    const ready = this.#ready;
    this.#ready = null;
    if (ready === null) throw new Error('nothing was prepared');
    ready.take();
  }
}
