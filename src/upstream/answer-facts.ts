import type { Remember } from '../chat/extensions.ts';
import type { AnswerFacts } from '../chat/writer.ts';
import type { Clock } from '../core/clock.ts';

/** What an answer's reader is given. Ids are made, and the clock is asked, only where somebody wants to know. */
export class LazyFacts implements AnswerFacts {
  readonly model: string;
  readonly newId: () => string;
  readonly remember: Remember;
  readonly #clock: Pick<Clock, 'wall'>;
  #created: number | null = null;
  #id: string | null = null;

  constructor(model: string, clock: Pick<Clock, 'wall'>, newId: () => string, remember: Remember) {
    this.model = model;
    this.#clock = clock;
    this.newId = newId;
    this.remember = remember;
  }

  get created(): number {
    this.#created ??= Math.floor(this.#clock.wall() / 1000);
    return this.#created;
  }

  get id(): string {
    this.#id ??= `chatcmpl-${this.newId()}`;
    return this.#id;
  }
}
