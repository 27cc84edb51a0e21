import type { Remember } from '../chat/extensions.ts';
import type { AnswerFacts } from '../chat/writer.ts';

/** What an answer's reader is given. Ids are made only where one is asked for. */
export class Facts implements AnswerFacts {
  readonly model: string;
  readonly created: number;
  readonly newId: () => string;
  readonly remember: Remember;
  #id: string | null = null;

  constructor(model: string, wallMs: number, newId: () => string, remember: Remember) {
    this.model = model;
    this.created = Math.floor(wallMs / 1000);
    this.newId = newId;
    this.remember = remember;
  }

  get id(): string {
    this.#id ??= `chatcmpl-${this.newId()}`;
    return this.#id;
  }
}
