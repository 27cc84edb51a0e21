/** OpenAI's chats and responses. */
import type OpenAI from 'openai';
import {
  type Call,
  type Counts,
  data,
  namedEvent,
  reportedBy,
  type Saying,
  stopOf,
  textOf,
  WORD_OF_STOP,
} from './saying.ts';

const CREATED = 1_795_219_200;

function chatUsage(counts: Counts): OpenAI.CompletionUsage {
  const { input, output, cached, cacheWrite, reasoning } = reportedBy('chat', counts);
  return {
    prompt_tokens: input,
    completion_tokens: output,
    total_tokens: input + output,
    prompt_tokens_details: { audio_tokens: 0, cached_tokens: cached, cache_write_tokens: cacheWrite },
    completion_tokens_details: { audio_tokens: 0, reasoning_tokens: reasoning },
  };
}

export function chatWhole(saying: Saying, model: string): object {
  const { calls = [] } = saying;
  return {
    id: 'chatcmpl-up',
    object: 'chat.completion',
    created: CREATED,
    model,
    choices: [
      {
        index: 0,
        finish_reason: WORD_OF_STOP.chat[stopOf(saying)],
        logprobs: null,
        message: {
          role: 'assistant',
          content: textOf(saying) || null,
          refusal: null,
          ...(calls.length === 0 ? {} : { tool_calls: calls.map(chatCall) }),
        },
      },
    ],
    usage: chatUsage(saying.counts),
  } satisfies OpenAI.ChatCompletion;
}

function chatCall({ id, name, arguments: pieces }: Call) {
  return { id, type: 'function' as const, function: { name, arguments: pieces.join('') } };
}

export function chatEvents(saying: Saying, model: string): string[] {
  const { text = [], calls = [] } = saying;
  const head = { id: 'chatcmpl-up', object: 'chat.completion.chunk', created: CREATED, model };
  const event = (delta: object, finish: string | null = null) => ({
    ...head,
    choices: [{ index: 0, delta, logprobs: null, finish_reason: finish }],
    usage: null,
  });
  const events: object[] = [event({ role: 'assistant', content: '', refusal: null })];
  for (const content of text) events.push(event({ content }));
  for (const [index, { id, name, arguments: pieces }] of calls.entries()) {
    const begun = { index, id, type: 'function', function: { name, arguments: '' } };
    events.push(event({ tool_calls: [begun] }));
    for (const piece of pieces) {
      events.push(event({ tool_calls: [{ index, function: { arguments: piece } }] }));
    }
  }
  events.push(event({}, WORD_OF_STOP.chat[stopOf(saying)]));
  events.push({ ...head, choices: [], usage: chatUsage(saying.counts) });
  return [...events.map(data), 'data: [DONE]\n\n'];
}

export function responseWhole(saying: Saying, model: string) {
  const { input, output, cached, cacheWrite, reasoning } = reportedBy('responses', saying.counts);
  const { calls = [] } = saying;
  return {
    id: 'resp_up',
    object: 'response' as const,
    created_at: CREATED,
    status: WORD_OF_STOP.responses[stopOf(saying)],
    error: null,
    incomplete_details: stopOf(saying) === 'length' ? { reason: 'max_output_tokens' as const } : null,
    instructions: null,
    metadata: {},
    model,
    output: [
      ...(textOf(saying) === '' ? [] : [responseMessage(saying)]),
      ...calls.map((call, index) => responseCall(call, index)),
    ],
    parallel_tool_calls: true,
    temperature: 1,
    tool_choice: 'auto' as const,
    tools: [],
    top_p: 1,
    usage: {
      input_tokens: input,
      input_tokens_details: { cached_tokens: cached, cache_write_tokens: cacheWrite },
      output_tokens: output,
      output_tokens_details: { reasoning_tokens: reasoning },
      total_tokens: input + output,
    },
  };
}

function responseMessage(saying: Saying): OpenAI.Responses.ResponseOutputMessage {
  return {
    id: 'msg_up',
    type: 'message',
    role: 'assistant',
    status: 'completed',
    content: [{ type: 'output_text', text: textOf(saying), annotations: [], logprobs: [] }],
  };
}

function responseCall(
  { id, name, arguments: pieces }: Call,
  index: number,
): OpenAI.Responses.ResponseFunctionToolCall {
  return {
    id: `fc_${index}`,
    type: 'function_call',
    status: 'completed',
    call_id: id,
    name,
    arguments: pieces.join(''),
  };
}

export function responseEvents(saying: Saying, model: string): string[] {
  const { text = [], calls = [] } = saying;
  const whole = responseWhole(saying, model);
  const { usage: _, ...unfinished } = whole;
  const beginning = { ...unfinished, status: 'in_progress', output: [] };
  const events: { type: string }[] = [];
  const tell = (type: string, fields: object) => events.push({ type: `response.${type}`, ...fields });
  tell('created', { response: beginning });
  tell('in_progress', { response: beginning });
  let index = 0;
  if (text.length > 0) {
    const item = responseMessage(saying);
    const at = { item_id: item.id, output_index: index, content_index: 0 };
    const part = { type: 'output_text', text: '', annotations: [] };
    tell('output_item.added', {
      output_index: index,
      item: { ...item, content: [], status: 'in_progress' },
    });
    tell('content_part.added', { ...at, part });
    for (const delta of text) tell('output_text.delta', { ...at, delta, logprobs: [] });
    tell('output_text.done', { ...at, text: textOf(saying), logprobs: [] });
    tell('content_part.done', { ...at, part: { ...part, text: textOf(saying) } });
    tell('output_item.done', { output_index: index++, item });
  }
  for (const [place, call] of calls.entries()) {
    const item = responseCall(call, place);
    const at = { item_id: item.id, output_index: index };
    tell('output_item.added', {
      output_index: index,
      item: { ...item, arguments: '', status: 'in_progress' },
    });
    for (const delta of call.arguments) {
      if (delta !== '') tell('function_call_arguments.delta', { ...at, delta });
    }
    tell('function_call_arguments.done', { ...at, name: item.name, arguments: item.arguments });
    tell('output_item.done', { output_index: index++, item });
  }
  tell(WORD_OF_STOP.responses[stopOf(saying)], { response: whole });
  return events.map((event, number) => {
    const numbered = { ...event, sequence_number: number };
    return namedEvent(numbered);
  });
}
