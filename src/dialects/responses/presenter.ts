import type { Presenter, StreamError } from '../../chat/presenter.ts';
import { isJsonObject, type JsonObject } from '../../core/json.ts';
import { PING_COMMENT } from '../../sse/encoder.ts';
import { OutputWriter } from './output.ts';
import { progressOf, type ResponseFacts, responseOf } from './response.ts';

/** Tells a stream of chat chunks as the events of the responses API. */
export class ResponsesPresenter implements Presenter {
  readonly ping = PING_COMMENT;
  readonly #request: JsonObject;
  readonly #facts: ResponseFacts;
  readonly #output: OutputWriter;
  /** Events that are not given out yet. */
  #pending = '';
  #sequence = 0;
  #begun = false;
  #finish: string | null = null;

  /** `id`: never used before, without a prefix. `created`: seconds since 1970. */
  constructor(request: JsonObject, model: string, id: string, created: number) {
    this.#request = request;
    this.#facts = { id: `resp_${id}`, created, model, serviceTier: null, usage: null, output: [] };
    this.#output = new OutputWriter(id, (type, fields) => this.#emit(`response.${type}`, fields));
  }

  chunk(chunk: JsonObject): Buffer | null {
    const { model, service_tier: tier, usage, choices } = chunk;
    if (!this.#begun && typeof model === 'string' && model !== '') this.#facts.model = model;
    if (typeof tier === 'string') this.#facts.serviceTier = tier;
    if (isJsonObject(usage)) this.#facts.usage = usage;
    this.#begin();
    for (const choice of Array.isArray(choices) ? choices : []) {
      if (!isJsonObject(choice) || (choice['index'] ?? 0) !== 0) continue;
      if (isJsonObject(choice['delta'])) this.#output.delta(choice['delta'], choice['logprobs']);
      const finish = choice['finish_reason'];
      if (typeof finish === 'string' && finish !== '') this.#finish = finish;
    }
    return this.#take();
  }

  end(relayed: boolean): Buffer | null {
    if (relayed) return null;
    this.#begin();
    const progress = progressOf(this.#finish);
    this.#output.end(progress.status === 'completed');
    this.#facts.output = this.#output.items();
    this.#emit(`response.${progress.status}`, { response: responseOf(this.#request, this.#facts, progress) });
    return this.#take();
  }

  /** In both forms that clients look for: that of the API's reference, and the one that the API sends. */
  error({ message, type, code, after }: StreamError): Buffer {
    const told = after?.['sequence_number'];
    // Of a relayed stream the events before it were the host's own.
    if (typeof told === 'number') this.#sequence = told + 1;
    const fields = { code, message, param: null };
    this.#emit('error', { ...fields, error: { type, ...fields } });
    return this.#take() as Buffer;
  }

  #begin(): void {
    if (this.#begun) return;
    this.#begun = true;
    const response = responseOf(this.#request, this.#facts, { status: 'in_progress' });
    this.#emit('response.created', { response });
    this.#emit('response.in_progress', { response });
  }

  #emit(type: string, fields: JsonObject): void {
    const event = JSON.stringify({ type, sequence_number: this.#sequence++, ...fields });
    this.#pending += `event: ${type}\ndata: ${event}\n\n`;
  }

  #take(): Buffer | null {
    if (this.#pending === '') return null;
    const bytes = Buffer.from(this.#pending);
    this.#pending = '';
    return bytes;
  }
}
