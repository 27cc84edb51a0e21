/** What is said while a run goes on, on standard error. */
export class Progress {
  readonly #steps: number;
  readonly #begun = performance.now();
  #done = 0;

  /** `steps`: how many there will be, if all goes well. */
  constructor(steps: number) {
    this.#steps = steps;
  }

  /** One of the steps is done. */
  step(line: string): void {
    this.#done++;
    this.say(`${Math.min(100, Math.round((100 * this.#done) / this.#steps))} % ${line}`);
  }

  say(line: string): void {
    const seconds = Math.floor((performance.now() - this.#begun) / 1000);
    const clock = `${Math.floor(seconds / 60)}:${String(seconds % 60).padStart(2, '0')}`;
    process.stderr.write(`${clock} ${line}\n`);
  }
}
