import { isJsonObject, type Json, type JsonObject } from '../../core/json.ts';
import { utf8Length } from '../../core/text.ts';
import type { Usage } from '../../core/usage.ts';
import type { ChunkKind, EventReader } from '../event-reader.ts';
import type { Output } from './output.ts';
import { readResponseUsage } from './responses-usage.ts';

/** What a call of a tool of the client's begins with: from here on a lost event would be a lost piece of it. */
const CALLS: ReadonlySet<Json | undefined> = new Set(['function_call', 'custom_tool_call']);

/** Follows one stream of a response's events: what has begun, whether it has finished, what was used. */
export class ResponsesReader implements EventReader {
  usage: Usage | null = null;
  model: string | null = null;
  error: JsonObject | null = null;
  /** Events are never changed. */
  readonly mended = null;
  value: JsonObject | null = null;
  reportsUsage = false;
  readonly output: Output = { characters: 0, reasoning: 0 };
  finished = false;
  /** The calls that have begun and are not yet done, by their place in the output. */
  readonly #calls = new Set<Json | undefined>();

  /** There is one answer, and its last event says that it is whole. */
  get finishedAllBegun(): boolean {
    return this.finished;
  }

  get callingTool(): boolean {
    return this.#calls.size > 0;
  }

  read(data: string, eventType: string): ChunkKind {
    this.value = null;
    this.reportsUsage = false;
    this.output.characters = 0;
    this.output.reasoning = 0;
    let event: unknown;
    try {
      event = JSON.parse(data);
    } catch {
      return this.#readText(data.trim(), eventType);
    }
    if (!isJsonObject(event)) return eventType === 'error' ? this.#failed({ error: data }) : 'invalid';
    this.value = event;
    const { type } = event;
    // An error is an event of its own, or an object in place of one as in chats.
    if (event['error'] || type === 'error' || eventType === 'error') return this.#failed(event);
    if (type === 'ping' || eventType === 'ping') return 'ping';
    if (typeof type !== 'string') return 'foreign';
    return this.#readEvent(type, event);
  }

  #readText(text: string, eventType: string): ChunkKind {
    if (eventType === 'error') return this.#failed({ error: text });
    if (text === '') return 'ping';
    return text === '[DONE]' ? 'done' : 'invalid';
  }

  #failed(error: JsonObject): 'error' {
    this.error = error;
    return 'error';
  }

  #readEvent(type: string, event: JsonObject): ChunkKind {
    const { response } = event;
    if (isJsonObject(response)) this.#readResponse(response);
    switch (type) {
      case 'response.completed':
      case 'response.incomplete':
        this.finished = true;
        this.#calls.clear();
        return 'content';
      case 'response.failed':
        return this.#failed({ error: (isJsonObject(response) ? response['error'] : null) ?? type });
      case 'response.created':
      case 'response.queued':
      case 'response.in_progress':
        return 'quiet';
      case 'response.output_item.added':
        return this.#readItem(event);
      case 'response.output_item.done':
        this.#calls.delete(event['output_index']);
        return 'quiet';
    }
    if (type.endsWith('.delta')) return this.#readDelta(type, event['delta']);
    // Tools that the host itself calls: what they do is not to be done twice.
    return /^response\.\w+_call\./.test(type) ? 'content' : 'quiet';
  }

  #readResponse({ model, usage }: JsonObject): void {
    if (this.model === null && typeof model === 'string' && model !== '') this.model = model;
    if (!isJsonObject(usage)) return;
    this.usage = readResponseUsage(usage);
    this.reportsUsage = true;
  }

  #readItem({ item, output_index: index }: JsonObject): ChunkKind {
    if (!isJsonObject(item) || !CALLS.has(item['type'])) return 'quiet';
    this.#calls.add(index);
    if (typeof item['name'] === 'string') this.output.characters += utf8Length(item['name']);
    return 'content';
  }

  #readDelta(type: string, delta: Json | undefined): ChunkKind {
    if (delta === '' || delta == null) return 'quiet';
    if (typeof delta === 'string' && !type.startsWith('response.audio.')) {
      const size = utf8Length(delta);
      this.output.characters += size;
      if (type.startsWith('response.reasoning')) this.output.reasoning += size;
    }
    return 'content';
  }
}
