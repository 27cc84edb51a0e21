import { isJsonObject, type Json, type JsonObject, tryParseJson } from '../../core/json.ts';
import type { Usage } from '../../core/usage.ts';
import type { ChunkKind, EventReader } from '../event-reader.ts';
import type { Output } from '../openai/output.ts';
import { addBlock, addDelta } from './output.ts';
import { UsageTally } from './usage.ts';

/** Follows one stream of Anthropic's events on its way to a client that speaks them too. */
export class MessageEventReader implements EventReader {
  model: string | null = null;
  error: JsonObject | null = null;
  /** Nothing is ever put in. */
  readonly mended = null;
  value: JsonObject | null = null;
  reportsUsage = false;
  readonly output: Output = { characters: 0, reasoning: 0 };
  finished = false;
  readonly #tally = new UsageTally();
  /** The blocks that have begun and not ended, with their types. */
  readonly #open = new Map<number, string>();
  #hasCalls = false;
  /** A piece came whose block never began: what is left would pass for the whole. */
  #hasLost = false;

  get usage(): Usage | null {
    return this.#tally.usage;
  }

  /** There is one choice only. */
  get finishedAllBegun(): boolean {
    return this.finished;
  }

  get callingTool(): boolean {
    return (this.#hasCalls || this.#hasLost) && !this.finished;
  }

  read(data: string, eventType: string): ChunkKind {
    this.value = null;
    this.reportsUsage = false;
    this.output.characters = 0;
    this.output.reasoning = 0;
    const event = tryParseJson(data);
    if (!isJsonObject(event)) {
      if (eventType === 'error') return this.#failed({ error: data });
      return data.trim() === '' ? 'ping' : 'invalid';
    }
    this.value = event;
    if (eventType === 'error' || event['type'] === 'error' || event['error']) return this.#failed(event);
    switch (event['type']) {
      case 'ping':
        return 'ping';
      case 'message_start':
        return this.#start(event['message']);
      case 'content_block_start':
        return this.#begin(event['index'], event['content_block']);
      case 'content_block_delta':
        return this.#add(event['index'], event['delta']);
      case 'content_block_stop':
        return this.#end(event['index']);
      case 'message_delta':
        return this.#readDelta(event);
      case 'message_stop':
        return 'done';
    }
    // The client speaks the dialect, perhaps a newer one than is known here.
    return typeof event['type'] === 'string' ? 'quiet' : 'invalid';
  }

  #failed(error: JsonObject): 'error' {
    this.error = error;
    return 'error';
  }

  #start(message: Json | undefined): ChunkKind {
    if (!isJsonObject(message)) return 'invalid';
    const { model, usage } = message;
    if (this.model === null && typeof model === 'string' && model !== '') this.model = model;
    this.#tally.take(usage, true);
    return 'quiet';
  }

  #begin(index: Json | undefined, block: Json | undefined): ChunkKind {
    if (typeof index !== 'number' || !isJsonObject(block) || typeof block['type'] !== 'string')
      return 'invalid';
    this.#open.set(index, block['type']);
    if (block['type'] === 'tool_use') this.#hasCalls = true;
    return addBlock(block, this.output) ? 'content' : 'quiet';
  }

  #add(index: Json | undefined, delta: Json | undefined): ChunkKind {
    if (typeof index !== 'number' || !isJsonObject(delta) || !isWhole(delta)) return 'invalid';
    if (!this.#open.has(index)) return this.#lose();
    return addDelta(delta, this.output) ? 'content' : 'quiet';
  }

  #end(index: Json | undefined): ChunkKind {
    if (typeof index !== 'number') return 'invalid';
    return this.#open.delete(index) ? 'quiet' : this.#lose();
  }

  #lose(): 'invalid' {
    this.#hasLost = true;
    return 'invalid';
  }

  #readDelta({ delta, usage }: JsonObject): ChunkKind {
    this.reportsUsage = this.#tally.take(usage);
    if (!isJsonObject(delta)) return this.reportsUsage ? 'usage' : 'invalid';
    const reason = delta['stop_reason'];
    if (typeof reason !== 'string' || reason === '') return this.reportsUsage ? 'usage' : 'quiet';
    this.finished = true;
    return 'content';
  }
}

/** What each kind of piece must bring. Others may be newer than is known here. */
const MEMBERS: Readonly<Record<string, string>> = {
  text_delta: 'text',
  input_json_delta: 'partial_json',
  thinking_delta: 'thinking',
  signature_delta: 'signature',
};

function isWhole(delta: JsonObject): boolean {
  const { type } = delta;
  if (typeof type !== 'string') return false;
  const member = Object.hasOwn(MEMBERS, type) ? MEMBERS[type] : undefined;
  return member === undefined || typeof delta[member] === 'string';
}
