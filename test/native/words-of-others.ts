/** Anthropic's messages, Amazon's Converse, Google's generateContent. */
import type Anthropic from '@anthropic-ai/sdk';
import type { ConverseResponse, TokenUsage } from '@aws-sdk/client-bedrock-runtime';
import type { GenerateContentResponseUsageMetadata } from '@google/genai';
import type { JsonObject } from '../../src/core/json.ts';
import { frames } from '../providers/bedrock/rig.ts';
import {
  type Counts,
  data,
  namedEvent,
  reportedBy,
  type Saying,
  stopOf,
  textOf,
  WORD_OF_STOP,
} from './saying.ts';

function messagesUsage({
  fresh,
  cached,
  written,
  writtenForHour,
  answer,
  thoughts,
}: Counts): Anthropic.Usage {
  return {
    input_tokens: fresh,
    cache_read_input_tokens: cached,
    cache_creation_input_tokens: written + writtenForHour,
    cache_creation: {
      ephemeral_5m_input_tokens: written,
      ephemeral_1h_input_tokens: writtenForHour,
    },
    output_tokens: answer + thoughts,
    output_tokens_details: { thinking_tokens: thoughts },
    inference_geo: null,
    server_tool_use: null,
    service_tier: 'standard',
    speed: null,
  };
}

export function messagesWhole(saying: Saying, model: string) {
  const { thoughts = [], signature = 'c2lnbmVk', calls = [] } = saying;
  const text = textOf(saying);
  return {
    id: 'msg_up',
    type: 'message',
    role: 'assistant',
    model,
    content: [
      ...(thoughts.length === 0
        ? []
        : [{ type: 'thinking' as const, thinking: thoughts.join(''), signature }]),
      ...(text === '' ? [] : [{ type: 'text' as const, text, citations: null }]),
      ...calls.map(({ id, name, arguments: pieces }) => ({
        type: 'tool_use' as const,
        id,
        name,
        input: JSON.parse(pieces.join('') || '{}') as unknown,
        caller: { type: 'direct' as const },
      })),
    ],
    container: null,
    diagnostics: null,
    stop_details: null,
    stop_reason: WORD_OF_STOP.messages[stopOf(saying)],
    stop_sequence: null,
    usage: messagesUsage(saying.counts),
  } satisfies Anthropic.Message;
}

export function messagesEvents(saying: Saying, model: string): string[] {
  const { thoughts = [], signature = 'c2lnbmVk', text = [], calls = [] } = saying;
  const whole = messagesWhole(saying, model);
  const { output_tokens, output_tokens_details } = whole.usage;
  const events: object[] = [
    {
      type: 'message_start',
      message: {
        ...whole,
        content: [],
        stop_reason: null,
        usage: { ...whole.usage, output_tokens: 1, output_tokens_details: null },
      },
    },
  ];
  let index = 0;
  const block = (start: object, deltas: object[]) => {
    events.push({ type: 'content_block_start', index, content_block: start });
    for (const delta of deltas) events.push({ type: 'content_block_delta', index, delta });
    events.push({ type: 'content_block_stop', index: index++ });
  };
  if (thoughts.length > 0) {
    const deltas = thoughts.map((thinking) => ({ type: 'thinking_delta', thinking }));
    const last = { type: 'signature_delta', signature };
    block({ type: 'thinking', thinking: '', signature: '' }, [...deltas, last]);
    events.push({ type: 'ping' });
  }
  if (text.length > 0) {
    const deltas = text.map((piece) => ({ type: 'text_delta', text: piece }));
    block({ type: 'text', text: '', citations: null }, deltas);
  }
  for (const { id, name, arguments: pieces } of calls) {
    const deltas = ['', ...pieces].map((partial_json) => ({ type: 'input_json_delta', partial_json }));
    block({ type: 'tool_use', id, name, input: {}, caller: { type: 'direct' } }, deltas);
  }
  events.push({
    type: 'message_delta',
    delta: { stop_reason: whole.stop_reason, stop_sequence: null, stop_details: null, container: null },
    usage: {
      input_tokens: null,
      cache_creation_input_tokens: null,
      cache_read_input_tokens: null,
      output_tokens,
      output_tokens_details,
      server_tool_use: null,
    } satisfies Anthropic.MessageDeltaUsage,
  });
  events.push({ type: 'message_stop' });
  return events.map((event) => namedEvent(event as { type: string }));
}

function converseUsage({ fresh, cached, written, writtenForHour, answer, thoughts }: Counts): TokenUsage {
  const [input, output] = [fresh + cached + written + writtenForHour, answer + thoughts];
  return {
    inputTokens: fresh,
    outputTokens: output,
    totalTokens: input + output,
    cacheReadInputTokens: cached,
    cacheWriteInputTokens: written + writtenForHour,
    cacheDetails: [
      { ttl: '5m', inputTokens: written },
      { ttl: '1h', inputTokens: writtenForHour },
    ],
  };
}

export function converseWhole(saying: Saying): object {
  const { thoughts = [], signature = 'c2lnbmVk', calls = [] } = saying;
  const text = textOf(saying);
  const thought = { reasoningContent: { reasoningText: { text: thoughts.join(''), signature } } };
  return {
    output: {
      message: {
        role: 'assistant',
        content: [
          ...(thoughts.length === 0 ? [] : [thought]),
          ...(text === '' ? [] : [{ text }]),
          ...calls.map(({ id, name, arguments: pieces }) => ({
            toolUse: { toolUseId: id, name, input: JSON.parse(pieces.join('') || '{}') },
          })),
        ],
      },
    },
    stopReason: WORD_OF_STOP.converse[stopOf(saying)],
    usage: converseUsage(saying.counts),
    metrics: { latencyMs: 7 },
  } satisfies ConverseResponse;
}

export function converseEvents(saying: Saying): Buffer[] {
  const { thoughts = [], signature = 'c2lnbmVk', text = [], calls = [] } = saying;
  const events: JsonObject[] = [{ messageStart: { role: 'assistant' } }];
  let at = 0;
  const delta = (content: JsonObject) =>
    events.push({ contentBlockDelta: { contentBlockIndex: at, delta: content } });
  const stop = () => events.push({ contentBlockStop: { contentBlockIndex: at++ } });
  if (thoughts.length > 0) {
    for (const piece of thoughts) delta({ reasoningContent: { text: piece } });
    delta({ reasoningContent: { signature } });
    stop();
  }
  if (text.length > 0) {
    for (const piece of text) delta({ text: piece });
    stop();
  }
  for (const { id: toolUseId, name, arguments: pieces } of calls) {
    const start = { toolUse: { toolUseId, name } };
    events.push({ contentBlockStart: { contentBlockIndex: at, start } });
    for (const input of pieces) delta({ toolUse: { input } });
    stop();
  }
  events.push({ messageStop: { stopReason: WORD_OF_STOP.converse[stopOf(saying)] } });
  const usage = converseUsage(saying.counts) as unknown as JsonObject;
  events.push({ metadata: { usage, metrics: { latencyMs: 7 } } });
  return events.map((event) => frames([event]));
}

function geminiUsage(counts: Counts): GenerateContentResponseUsageMetadata {
  const { input } = reportedBy('gemini', counts);
  const { cached, answer, thoughts } = counts;
  return {
    promptTokenCount: input,
    cachedContentTokenCount: cached,
    candidatesTokenCount: answer,
    thoughtsTokenCount: thoughts,
    totalTokenCount: input + answer + thoughts,
  };
}

function geminiParts({ thoughts = [], text = [], calls = [], signature = 'c2lnbmVk' }: Saying): object[] {
  return [
    ...thoughts.map((piece) => ({ text: piece, thought: true })),
    ...text.map((piece) => ({ text: piece })),
    ...calls.map(({ id, name, arguments: pieces }, index) => ({
      functionCall: { id, name, args: JSON.parse(pieces.join('') || '{}') as unknown },
      ...(index === 0 ? { thoughtSignature: signature } : {}),
    })),
  ];
}

export function geminiWhole(saying: Saying, model: string): object {
  const finishReason = WORD_OF_STOP.gemini[stopOf(saying)];
  return {
    candidates: [{ content: { role: 'model', parts: geminiParts(saying) }, finishReason, index: 0 }],
    usageMetadata: geminiUsage(saying.counts),
    modelVersion: model,
    responseId: 'r1',
  };
}

export function geminiEvents(saying: Saying, model: string): string[] {
  const { promptTokenCount } = geminiUsage(saying.counts);
  const parts = geminiParts(saying);
  return parts.map((part, index) => {
    const isLast = index === parts.length - 1;
    const finish = isLast ? { finishReason: WORD_OF_STOP.gemini[stopOf(saying)] } : {};
    return data({
      candidates: [{ content: { role: 'model', parts: [part] }, ...finish, index: 0 }],
      // A running total: what is said before the end is not all.
      usageMetadata: isLast
        ? geminiUsage(saying.counts)
        : { promptTokenCount, candidatesTokenCount: index + 1, totalTokenCount: promptTokenCount },
      modelVersion: model,
      responseId: 'r1',
    });
  });
}
