import { withoutSealedReasoning } from '../../chat/sealed-reasoning.ts';
import { isJsonObject, type Json, type JsonObject } from '../../core/json.ts';
import { type AnswerReader, type Ask, Drops, type PlainReading } from '../adapter.ts';
import { changedBody } from '../printed-body.ts';
import { type FittedBody, inOrder } from './chat-body.ts';
import { nearestEffort, readEffort } from './effort.ts';
import { ResponsesReader } from './responses-reader.ts';
import { outputOfResponse, readResponseUsage } from './responses-usage.ts';

/** Parameters of chats that responses do not have, or have in another shape. */
const CHAT_ONLY: ReadonlySet<string> = new Set([
  'messages',
  'tools',
  'tool_choice',
  'functions',
  'function_call',
  'n',
  'stop',
  'seed',
  'logprobs',
  'logit_bias',
  'presence_penalty',
  'frequency_penalty',
  'response_format',
  'modalities',
  'audio',
  'prediction',
  'stream_options',
  'web_search_options',
]);

const LIMIT = 'max_output_tokens';

/** The client's body with the target's model and overrides, which are written in the words of chats. */
export function fitResponses(ask: Ask): FittedBody {
  const { body, overrideParams, capabilities } = ask;
  const client = body.value;
  const changes = new Map<string, Json>();
  const drops = new Drops(ask.strict);
  let reasoning = client['reasoning'];
  const setEffort = (effort: Json) => {
    const { effort: _, ...rest } = isJsonObject(reasoning) ? reasoning : {};
    reasoning = effort === null ? rest : { ...rest, effort };
    changes.set('reasoning', Object.keys(reasoning).length === 0 ? null : reasoning);
  };
  for (const [name, value] of Object.entries(overrideParams)) {
    if (CHAT_ONLY.has(name)) continue;
    if (name === 'reasoning') {
      reasoning = value;
      changes.set(name, value);
    } else if (name === 'reasoning_effort') setEffort(value);
    else if (name === 'verbosity') changes.set('text', withMember(client['text'], name, value));
    else if (name === 'max_completion_tokens' || name === 'max_tokens') {
      if (name === 'max_tokens' && Object.hasOwn(overrideParams, 'max_completion_tokens')) continue;
      changes.set(LIMIT, value);
    } else changes.set(name, value);
  }
  const { maxOutput } = capabilities;
  const most = changes.has(LIMIT) ? changes.get(LIMIT) : client[LIMIT];
  // No answer is longer than the model can write.
  if (maxOutput !== null && typeof most === 'number' && most > maxOutput) changes.set(LIMIT, maxOutput);
  const asked = readEffort(isJsonObject(reasoning) ? reasoning['effort'] : undefined);
  const effort = asked === null ? null : nearestEffort(asked, capabilities);
  if (effort !== asked) {
    drops.drop('reasoning', `The reasoning effort '${asked}' is not supported.`);
    setEffort(effort);
  }
  const atNoEffort = (effort ?? capabilities.defaultEffort) === 'none';
  for (const name of capabilities.refuses) {
    if (CHAT_ONLY.has(name) || (atNoEffort && capabilities.takesAtNoEffort.has(name))) continue;
    const value = changes.has(name) ? changes.get(name) : client[name];
    if (value === undefined) continue;
    changes.set(name, null);
    if (value !== null && !SAYS_NOTHING.has(`${name}:${String(value)}`)) drops.drop(name);
  }
  if (client['model'] !== ask.model) changes.set('model', ask.model);
  // Made for targets that have no responses of their own; the host knows neither these items nor their seals.
  const input = withoutSealedReasoning(client['input']);
  if (input !== null) changes.set('input', input);
  return { ...changedBody(ask, changes), dropped: inOrder(drops.names, ask) };
}

/** What holds without them as well. */
const SAYS_NOTHING: ReadonlySet<string> = new Set(['temperature:1', 'top_p:1', 'parallel_tool_calls:true']);

function withMember(object: Json | undefined, name: string, value: Json): JsonObject | null {
  const { [name]: _, ...rest } = isJsonObject(object) ? object : {};
  const changed = value === null ? rest : { ...rest, [name]: value };
  return Object.keys(changed).length === 0 ? null : changed;
}

export const responsesAnswer: () => AnswerReader = () => ({
  plain: readResponse,
  stream: () => ({ kind: 'relayed', reader: new ResponsesReader() }),
});

/** A whole response, or what only looks like one. One that runs in the background is an answer, though it holds nothing yet. */
function readResponse(value: JsonObject, bytes: Buffer): PlainReading {
  const { error, status, usage } = value;
  if (error || value['object'] === 'error') return { kind: 'error', error: value };
  if (status === 'failed') return { kind: 'error', error: { error: 'the response failed' } };
  if (!Array.isArray(value['output'])) {
    return { kind: 'broken', why: 'the response with status 200 had no output' };
  }
  return {
    kind: 'answer',
    value,
    body: bytes,
    usage: isJsonObject(usage) ? readResponseUsage(usage) : null,
    output: () => outputOfResponse(value),
  };
}
