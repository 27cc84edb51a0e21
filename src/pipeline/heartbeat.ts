import type { Clock, Timer } from '../core/clock.ts';

/** A stream that is to be kept open while it is quiet. */
export interface Beating {
  /** Nothing has been written for so long: something is to be, unless bytes are waiting for the client anyway. */
  beat(): void;
}

/** Notices when a stream has fallen quiet. One timer, which is not moved with every event: when it goes off, it is seen how long ago the last one was. */
export class Heartbeat {
  readonly #clock: Clock;
  /** Milliseconds; 0 = never. */
  readonly #every: number;
  readonly #stream: Beating;
  #writtenAt: number;
  #timer: Timer | null = null;

  constructor(clock: Clock, every: number, stream: Beating) {
    this.#clock = clock;
    this.#every = every;
    this.#stream = stream;
    this.#writtenAt = clock.now();
  }

  start(): void {
    if (this.#every > 0) this.#lookIn(this.#every);
  }

  /** An event has been written. */
  wrote(): void {
    this.#writtenAt = this.#clock.now();
  }

  stop(): void {
    this.#timer?.cancel();
  }

  #lookIn(ms: number): void {
    this.#timer = this.#clock.schedule(ms, () => this.#look());
  }

  #look(): void {
    const quiet = this.#clock.now() - this.#writtenAt;
    if (quiet < this.#every) {
      this.#lookIn(this.#every - quiet);
      return;
    }
    this.#stream.beat();
    this.#writtenAt = this.#clock.now();
    this.#lookIn(this.#every);
  }
}
