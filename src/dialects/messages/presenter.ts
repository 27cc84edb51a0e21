import type { Presenter, StreamError } from '../../chat/presenter.ts';
import { signedBefore } from '../../chat/signed-before.ts';
import { ERROR_CODES } from '../../core/errors.ts';
import { isJsonObject, type Json, type JsonObject } from '../../core/json.ts';
import type { Usage } from '../../core/usage.ts';
import { readUsage } from '../../providers/openai/chunk.ts';
import {
  citationOf,
  emptyMessage,
  reasoningOf,
  stopDetails,
  stopReason,
  textIn,
  textOf,
  tokens,
} from './answer-parts.ts';
import { BlockStream, type Call } from './block-stream.ts';
import { showsThinking } from './effort.ts';
import { errorBody, typeOfStatus } from './errors.ts';
import { mintedId, signedBlocks } from './to-message.ts';
import { ToolNames } from './tool-names.ts';

const PING = Buffer.from('event: ping\ndata: {"type":"ping"}\n\n');
const NOTHING = Buffer.alloc(0);

/** Tells a stream of chunks as Anthropic's events. */
export class MessagesPresenter implements Presenter {
  readonly ping = PING;
  readonly #request: JsonObject;
  readonly #id: string;
  readonly #names: ToolNames;
  readonly #showsThinking: boolean;
  readonly #blocks = new BlockStream((event) => this.#tell(event));
  /** By the index that the chunks give them. */
  readonly #calls = new Map<number, Call>();
  #callsMade = 0;
  #lastCall = -1;
  /** Signed blocks were told when they were done. */
  #signedEarly = false;
  #events = '';
  #begun = false;
  /** It ended, or it broke: nothing follows. */
  #over = false;
  #finish: Json = null;
  #refusal = '';
  #usage: Usage | null = null;

  /** `id`: without a prefix. */
  constructor(request: JsonObject, id: string) {
    this.#request = request;
    this.#id = id;
    this.#names = new ToolNames(request);
    this.#showsThinking = showsThinking(request);
  }

  chunk(chunk: JsonObject): Buffer | null {
    if (this.#over) return null;
    this.#readUsage(chunk);
    const choices = chunk['choices'];
    // Anthropic's messages have one choice.
    const choice = Array.isArray(choices) ? choices.find((one) => isJsonObject(one) && !one['index']) : null;
    if (isJsonObject(choice)) {
      this.#begin(chunk['model'], chunk['service_tier']);
      for (const block of signedBefore(chunk)) this.#signed(block);
      if (isJsonObject(choice['delta'])) this.#delta(choice['delta']);
      const finish = choice['finish_reason'];
      if (typeof finish === 'string' && finish !== '') {
        this.#finish = finish;
        this.#blocks.finish();
      }
    }
    if (this.#blocks.damaged) {
      this.#break(
        'api_error',
        'A tool call that came in was damaged. What came before is not the whole answer.',
      );
    }
    return this.#flush();
  }

  end(relayed: boolean): Buffer | null {
    if (this.#over) return null;
    this.#over = true;
    // A native stream ends by itself, except for the one event that says that it is whole.
    if (relayed) return encode({ type: 'message_stop' });
    this.#begin(null, null);
    this.#blocks.finish();
    const reason = stopReason(this.#finish, this.#blocks.hasCalls, this.#refusal !== '');
    this.#tell({
      type: 'message_delta',
      delta: {
        stop_reason: reason,
        stop_sequence: null,
        stop_details: stopDetails(reason, this.#refusal),
        container: null,
      },
      usage: { ...tokens(this.#usage), server_tool_use: null },
    });
    this.#tell({ type: 'message_stop' });
    return this.#flush();
  }

  error({ message, code }: StreamError): Buffer {
    if (this.#over) return NOTHING;
    this.#break(typeOfStatus(statusOf(code)), message);
    return this.#flush() ?? NOTHING;
  }

  #break(type: string, message: string): void {
    this.#over = true;
    this.#tell(errorBody(type, message));
  }

  #readUsage(chunk: JsonObject): void {
    const groq = chunk['x_groq'];
    const usage = chunk['usage'] ?? (isJsonObject(groq) ? groq['usage'] : null);
    if (isJsonObject(usage)) this.#usage = readUsage(usage);
  }

  #begin(model: Json | undefined, tier: Json | undefined): void {
    if (this.#begun) return;
    this.#begun = true;
    const name = typeof model === 'string' && model !== '' ? model : textIn(this.#request['model']);
    this.#tell({ type: 'message_start', message: emptyMessage(this.#id, name, tier) });
  }

  #delta(delta: JsonObject): void {
    const reasoning = this.#showsThinking ? reasoningOf(delta) : '';
    if (reasoning !== '') this.#blocks.thinking(reasoning);
    if (delta['thinking_blocks'] != null) this.#signedLate(delta['thinking_blocks']);
    const text = textOf(delta['content']);
    if (text !== '') this.#blocks.text(text);
    const refusal = textIn(delta['refusal']);
    if (refusal !== '') {
      this.#refusal += refusal;
      this.#blocks.text(refusal);
    }
    if (Array.isArray(delta['annotations'])) this.#cite(delta['annotations']);
    if (Array.isArray(delta['tool_calls'])) {
      for (const call of delta['tool_calls']) if (isJsonObject(call)) this.#call(call);
    }
  }

  #cite(annotations: readonly Json[]): void {
    for (const annotation of annotations) {
      const citation = citationOf(annotation);
      if (citation !== null) this.#blocks.citation(citation);
    }
  }

  #signed(block: Parameters<BlockStream['signed']>[0]): void {
    this.#signedEarly = true;
    if (this.#showsThinking) this.#blocks.signed(block);
  }

  /**
   * All signed blocks at once, before the finish. By then there is no way back to the thought that was told, unless nothing but that was: it stays
   * unsigned, and what its model must be handed back is remembered by the ids of the calls.
   */
  #signedLate(list: Json): void {
    if (this.#signedEarly || !this.#showsThinking || this.#blocks.hasContent) return;
    const told = this.#blocks.openThought;
    const [first, ...others] = signedBlocks(list);
    if (first === undefined) return;
    // A block whose text is not repeated belongs to what was told as well.
    const isTold = first.type === 'thinking' && (first.thinking === told || first.thinking === '');
    if (told !== null && !isTold) return;
    for (const block of [first, ...others]) this.#blocks.signed(block);
  }

  #call(piece: JsonObject): void {
    const { id } = piece;
    const made = isJsonObject(piece['function']) ? piece['function'] : {};
    const call = this.#callAt(this.#indexOf(piece), textIn(id), textIn(made['name']));
    const input = made['arguments'];
    // Some hosts give an object in place of its text.
    this.#blocks.toolArguments(call, isJsonObject(input) ? JSON.stringify(input) : textIn(input));
  }

  /** Some hosts leave the index out: then a piece with an id begins a call, and one without goes on with the last. */
  #indexOf({ index, id }: JsonObject): number {
    if (typeof index === 'number') return index;
    const known = [...this.#calls].find(([, call]) => call.id === id);
    if (known !== undefined) return known[0];
    return typeof id === 'string' && id !== ''
      ? Math.max(-1, ...this.#calls.keys()) + 1
      : Math.max(0, this.#lastCall);
  }

  #callAt(index: number, id: string, name: string): Call {
    this.#lastCall = index;
    let call = this.#calls.get(index);
    // Some hosts give all their calls the same index.
    const isAnother = call !== undefined && id !== '' && name !== '' && id !== call.id && call.name !== '';
    if (call === undefined || isAnother) {
      call = this.#blocks.newCall(id === '' ? mintedId(this.#id, this.#callsMade) : id);
      this.#callsMade++;
      this.#calls.set(index, call);
    }
    if (call.name === '') call.name = this.#names.original(name);
    return call;
  }

  #tell(event: JsonObject): void {
    this.#events += encodeText(event);
  }

  #flush(): Buffer | null {
    if (this.#events === '') return null;
    const events = Buffer.from(this.#events);
    this.#events = '';
    return events;
  }
}

/** `code`: one of ours, or whatever an upstream calls it. */
function statusOf(code: string): number {
  return Object.hasOwn(ERROR_CODES, code) ? ERROR_CODES[code as keyof typeof ERROR_CODES].status : 500;
}

function encodeText(event: JsonObject): string {
  return `event: ${textIn(event['type'])}\ndata: ${JSON.stringify(event)}\n\n`;
}

function encode(event: JsonObject): Buffer {
  return Buffer.from(encodeText(event));
}
