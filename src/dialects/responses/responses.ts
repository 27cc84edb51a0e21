import { Unsupported } from '../../chat/unsupported.ts';
import { isJsonObject, type JsonObject } from '../../core/json.ts';
import { JsonBody } from '../../core/json-body.ts';
import type { ClientDialect, ClientRequest } from '../dialect.ts';
import { openaiError } from '../openai-error.ts';
import { chatRequest } from './chat-request.ts';
import { responsesName } from './names.ts';
import { OutputWriter } from './output.ts';
import { ResponsesPresenter } from './presenter.ts';
import { readResponses } from './read.ts';
import { progressOf, responseOf } from './response.ts';

/** OpenAI's responses. Nothing is stored here: what needs an earlier answer only goes to who keeps it. */
export const responses: ClientDialect = {
  name: 'responses',
  maximum: 'max_output_tokens',

  read(bytes) {
    const { body, model, streaming } = readResponses(bytes);
    let translated: { body: JsonBody; dropped: readonly string[] } | null = null;
    const translate = () => {
      translated ??= toChat(body);
      return translated;
    };
    return {
      dialect: 'responses',
      body,
      model,
      streaming,
      wantsUsage: true,
      chat: () => translate().body,
      get dropped() {
        return translate().dropped;
      },
      get isTied() {
        return isTied(body.value);
      },
      name: (param) => responsesName(param, body.value, translate().body.value),
    };
  },

  answer(completion, request, id) {
    const { created, model, usage, choices, service_tier: tier } = completion;
    const first = Array.isArray(choices) ? choices.find(isJsonObject) : undefined;
    const progress = progressOf(first?.['finish_reason']);
    const output = new OutputWriter(id, () => {});
    if (first !== undefined) output.delta(messageOf(first), first['logprobs']);
    output.end(progress.status === 'completed');
    const facts = {
      id: `resp_${id}`,
      created: typeof created === 'number' ? created : 0,
      model: typeof model === 'string' && model !== '' ? model : request.model,
      serviceTier: typeof tier === 'string' ? tier : null,
      usage: isJsonObject(usage) ? usage : null,
      output: output.items(),
    };
    return responseOf(request.body.value, facts, progress);
  },

  presenter(request: ClientRequest, id: string, created: number) {
    return new ResponsesPresenter(request.body.value, request.model, id, created);
  },

  error: openaiError,
};

/** Is the answer to be kept where it is given, which is usual unless it is declined, or to show thoughts as only the host can? */
function isTied({ store, reasoning, include }: JsonObject): boolean {
  if (store !== false || (Array.isArray(include) && include.length > 0)) return true;
  return isJsonObject(reasoning) && (reasoning['summary'] ?? reasoning['generate_summary'] ?? null) !== null;
}

/** A message is a delta that brings all; its calls stand in the order of their indices. */
function messageOf(choice: JsonObject): JsonObject {
  const { message } = choice;
  if (!isJsonObject(message)) return {};
  const calls = message['tool_calls'];
  if (!Array.isArray(calls)) return message;
  return {
    ...message,
    tool_calls: calls.map((call, index) => (isJsonObject(call) ? { ...call, index } : call)),
  };
}

function toChat({ value, isLarge }: JsonBody): { body: JsonBody; dropped: readonly string[] } {
  const { chat, dropped } = chatRequest(value);
  try {
    return { body: JsonBody.of(chat, isLarge), dropped };
  } catch (error) {
    // Chat nests a little deeper, so what was just within the bounds is beyond them now.
    if (error instanceof RangeError) throw new Unsupported('input', `It cannot be sent: ${error.message}.`);
    throw error;
  }
}
