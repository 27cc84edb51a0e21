import { googleExtra } from '../../chat/extensions.ts';
import { openReasoning } from '../../chat/sealed-reasoning.ts';
import { Unsupported } from '../../chat/unsupported.ts';
import { isJsonObject, type Json, type JsonObject } from '../../core/json.ts';
import { assistantContent, cacheMarks, contentOf, named } from './parts.ts';

/** Between texts that were messages of their own, and become one. */
const PARAGRAPH = '\n\n';

/** The messages that `instructions` and `input` stand for. */
export function messagesOf({ instructions, input }: JsonObject): JsonObject[] {
  const transcript = new Transcript();
  if (typeof instructions === 'string' && instructions !== '') {
    transcript.add({ role: 'system', content: instructions });
  } else if (instructions !== undefined && instructions !== null && instructions !== '') {
    throw new Unsupported('instructions', "Invalid 'instructions': expected a string.");
  }
  if (typeof input === 'string') transcript.add({ role: 'user', content: input });
  else if (Array.isArray(input)) {
    for (const [index, item] of input.entries()) addItem(transcript, item, `input[${index}]`);
  } else throw new Unsupported('input', 'There is no input: nothing of an earlier response is kept here.');
  return transcript.end();
}

function addItem(transcript: Transcript, item: Json, at: string): void {
  if (!isJsonObject(item)) throw new Unsupported(at, `Invalid '${at}': expected an object.`);
  const type = item['type'] ?? (item['role'] === undefined ? undefined : 'message');
  switch (type) {
    case 'message':
      addMessage(transcript, item, at);
      return;
    case 'reasoning':
      transcript.assistant().reason(item);
      return;
    case 'function_call':
      transcript.assistant().call(item, at);
      return;
    case 'function_call_output':
      addOutput(transcript, item, at);
      return;
    case 'item_reference':
    case undefined:
      // Without a type, an item is a message or a reference.
      throw new Unsupported(at, 'Items by id are not supported: answers are not stored, so send them whole.');
    default:
      throw new Unsupported(at, `Items of type ${named(type)} are not supported.`);
  }
}

function addMessage(transcript: Transcript, item: JsonObject, at: string): void {
  const { role, content } = item;
  switch (role) {
    case 'user':
      transcript.add({ role, content: contentOf(content, `${at}.content`) });
      return;
    case 'system':
    case 'developer':
      // One and the same to the API; by this name every host knows it.
      transcript.add({ role: 'system', content: contentOf(content, `${at}.content`) });
      return;
    case 'assistant':
      transcript.assistant().say(content, `${at}.content`);
      return;
    default:
      throw new Unsupported(`${at}.role`, 'A message needs a role: user, assistant, system or developer.');
  }
}

function addOutput(transcript: Transcript, item: JsonObject, at: string): void {
  const { call_id: id, output } = item;
  if (typeof id !== 'string' || id === '') {
    throw new Unsupported(`${at}.call_id`, 'An output must name the call that it answers.');
  }
  transcript.add({
    role: 'tool',
    tool_call_id: id,
    content: contentOf(output, `${at}.output`),
    ...cacheMarks(item),
  });
}

/**
 * Collects messages. What an assistant thought, said and called is several items in a row, in any order, and one message: a tool's result
 * must follow the message that called it.
 */
class Transcript {
  readonly #messages: JsonObject[] = [];
  #assistant: AssistantDraft | null = null;

  assistant(): AssistantDraft {
    this.#assistant ??= new AssistantDraft();
    return this.#assistant;
  }

  add(message: JsonObject): void {
    this.#flush();
    this.#messages.push(message);
  }

  end(): JsonObject[] {
    this.#flush();
    return this.#messages;
  }

  #flush(): void {
    const message = this.#assistant?.message() ?? null;
    if (message !== null) this.#messages.push(message);
    this.#assistant = null;
  }
}

class AssistantDraft {
  readonly #texts: string[] = [];
  readonly #calls: { id: string; function: JsonObject }[] = [];
  readonly #blocks: JsonObject[] = [];
  readonly #signatures = new Map<string, string>();
  #refusal = '';
  #reasoning = '';
  #textSignature: string | null = null;

  say(content: Json | undefined, at: string): void {
    const { text, refusal } = assistantContent(content, at);
    if (text !== null && text !== '') this.#texts.push(text);
    this.#refusal += refusal;
  }

  call({ call_id: id, name, arguments: args, namespace }: JsonObject, at: string): void {
    if (typeof id !== 'string' || id === '')
      throw new Unsupported(`${at}.call_id`, 'A call needs its call_id.');
    if (typeof name !== 'string' || name === '') throw new Unsupported(`${at}.name`, 'A call needs a name.');
    if (typeof args !== 'string') throw new Unsupported(`${at}.arguments`, 'Arguments are JSON in a string.');
    if (typeof namespace === 'string' && namespace !== '') {
      throw new Unsupported(`${at}.namespace`, 'Tools in namespaces are not supported.');
    }
    this.#calls.push({ id, function: { name, arguments: args } });
  }

  /** What a provider encrypted is for that provider; what was sealed here is opened again. */
  reason(item: JsonObject): void {
    const sealed = openReasoning(item['encrypted_content']);
    // Of ours, a new part begins where the thought was interrupted, be it within a word.
    const text = thoughtIn(item).join(sealed === null ? PARAGRAPH : '');
    if (text !== '') this.#reasoning += this.#reasoning === '' ? text : `${PARAGRAPH}${text}`;
    if (sealed === null) return;
    this.#blocks.push(...sealed.thinkingBlocks);
    for (const [id, signature] of sealed.callSignatures) this.#signatures.set(id, signature);
    this.#textSignature = sealed.textSignature ?? this.#textSignature;
  }

  /** Null where nothing was said: a thought alone is no message that a host takes. */
  message(): JsonObject | null {
    if (this.#texts.length === 0 && this.#refusal === '' && this.#calls.length === 0) return null;
    const message: JsonObject = {
      role: 'assistant',
      content: this.#texts.length === 0 ? null : this.#texts.join(PARAGRAPH),
    };
    if (this.#refusal !== '') message['refusal'] = this.#refusal;
    if (this.#reasoning !== '') message['reasoning_content'] = this.#reasoning;
    if (this.#blocks.length > 0) message['thinking_blocks'] = this.#blocks;
    if (this.#calls.length > 0) {
      message['tool_calls'] = this.#calls.map((call) => {
        const signature = this.#signatures.get(call.id);
        const extra = signature === undefined ? {} : { extra_content: googleExtra(signature) };
        return { id: call.id, type: 'function', function: call.function, ...extra };
      });
    }
    if (this.#textSignature !== null) message['extra_content'] = googleExtra(this.#textSignature);
    return message;
  }
}

/** The thought itself where a host gives it, else its summary. */
function thoughtIn({ content, summary }: JsonObject): string[] {
  const thought = textsIn(content);
  return thought.length > 0 ? thought : textsIn(summary);
}

function textsIn(parts: Json | undefined): string[] {
  if (!Array.isArray(parts)) return [];
  return parts.flatMap((part) => {
    const text = isJsonObject(part) ? part['text'] : null;
    return typeof text === 'string' && text !== '' ? [text] : [];
  });
}
