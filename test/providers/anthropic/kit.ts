/** What the tests of this adapter share: the vendor's types, requests that are held to them, and streams as the vendor writes them. */
import assert from 'node:assert/strict';
import type { Messages } from '@anthropic-ai/sdk/resources/messages/messages';
import type { JsonObject } from '../../../src/core/json.ts';
import { anthropic } from '../../../src/providers/anthropic/adapter.ts';
import { type AskChanges, askFor, sentJson, sse } from '../kit.ts';

/** The SDK's types are those of the version of 2026-10-21, which has no sampling; the one that is spoken here has. */
export type Sent = Messages.MessageCreateParams & { temperature?: number; top_p?: number; top_k?: number };

export const USER = { role: 'user', content: 'Hello' };

/** A chat with this in it, and what is sent for it. */
export function send(
  body: JsonObject,
  changes: AskChanges = {},
): { sent: JsonObject; dropped: readonly string[] } {
  const prepared = anthropic.prepare(askFor({ model: 'any', messages: [USER], ...body }, changes));
  return { sent: sentJson(prepared), dropped: prepared.dropped };
}

/** What is always sent, for models of which nothing is known. */
export const USUAL = {
  model: 'target-model',
  max_tokens: 32_000,
  messages: [{ role: 'user', content: 'Hello' }],
} as const satisfies Sent;

/** Sends a chat and holds all of what is sent to what is expected, and that to the SDK's types. Returns what was dropped. */
export function expectSent(
  body: JsonObject,
  expected: Partial<Sent>,
  changes: AskChanges = {},
): readonly string[] {
  const { sent, dropped } = send(body, changes);
  assert.deepEqual(sent, { ...USUAL, ...expected });
  return dropped;
}

/** Of a model that thinks by effort, refuses sampling and cannot be forced to call a tool: the strictest there is. */
export const STRICTEST = {
  refuses: new Set(['temperature', 'top_p', 'top_k']),
  thinking: 'adaptive',
  thinkingOff: 'omit',
  forcedTools: false,
  laterSystem: true,
  maxOutput: 128_000,
} as const;

export type Event = Messages.RawMessageStreamEvent | { type: 'ping' };

function nameOf(type: unknown): string {
  return typeof type === 'string' ? type : 'untyped';
}

export function eventStream(events: readonly (Event | JsonObject)[]): Buffer {
  return sse(events.map((event) => ({ type: nameOf(event.type), data: event as unknown as JsonObject })));
}

export const START_USAGE: Messages.Usage = {
  input_tokens: 20,
  cache_creation_input_tokens: 300,
  cache_read_input_tokens: 1000,
  cache_creation: { ephemeral_5m_input_tokens: 100, ephemeral_1h_input_tokens: 200 },
  output_tokens: 3,
  output_tokens_details: null,
  inference_geo: null,
  server_tool_use: null,
  service_tier: 'standard',
  speed: null,
};

export const END_USAGE: Messages.MessageDeltaUsage = {
  input_tokens: null,
  cache_creation_input_tokens: null,
  cache_read_input_tokens: null,
  output_tokens: 90,
  output_tokens_details: { thinking_tokens: 40 },
  server_tool_use: null,
};

export function message(
  content: Messages.ContentBlock[],
  changes: Partial<Messages.Message> = {},
): Messages.Message {
  return {
    id: 'msg_01XFDUDYJgAACzvnptvVoYEL',
    type: 'message',
    role: 'assistant',
    model: 'claude-opus-5-5',
    content,
    container: null,
    diagnostics: null,
    stop_reason: 'end_turn',
    stop_sequence: null,
    stop_details: null,
    usage: { ...START_USAGE, output_tokens: 90, output_tokens_details: { thinking_tokens: 40 } },
    ...changes,
  };
}

export function start(): Messages.RawMessageStartEvent {
  return { type: 'message_start', message: message([], { stop_reason: null, usage: START_USAGE }) };
}

export function stop(
  reason: Messages.StopReason,
  details: Messages.RefusalStopDetails | null = null,
): [Messages.RawMessageDeltaEvent, Messages.RawMessageStopEvent] {
  return [
    {
      type: 'message_delta',
      delta: { stop_reason: reason, stop_sequence: null, stop_details: details, container: null },
      usage: END_USAGE,
    },
    { type: 'message_stop' },
  ];
}

/** The events of one block, given how it begins and its pieces. */
export function block(
  index: number,
  content_block: Messages.RawContentBlockStartEvent['content_block'],
  deltas: readonly Messages.RawContentBlockDelta[],
): Messages.RawMessageStreamEvent[] {
  return [
    { type: 'content_block_start', index, content_block },
    ...deltas.map((delta) => ({ type: 'content_block_delta' as const, index, delta })),
    { type: 'content_block_stop', index },
  ];
}

export function toolUse(id: string, name: string, input: unknown = {}): Messages.ToolUseBlock {
  return { type: 'tool_use', id, name, input, caller: { type: 'direct' } };
}

export function link(url: string, title: string | null): Messages.CitationsWebSearchResultLocation {
  return { type: 'web_search_result_location', url, title, cited_text: 'so it is', encrypted_index: 'RXc' };
}

/** Answers whole and streamed, which must come to the same. */
export const RECORDED: Readonly<Record<string, { events: Event[]; whole: Messages.Message }>> = {
  'text with links': {
    events: [
      start(),
      { type: 'ping' },
      ...block(0, { type: 'text', text: '', citations: null }, [
        { type: 'text_delta', text: 'Grüße, ' },
        { type: 'text_delta', text: 'Welt 🌍. ' },
      ]),
      ...block(1, { type: 'text', text: '', citations: [] }, [
        { type: 'citations_delta', citation: link('https://a.test/1', 'A') },
        { type: 'text_delta', text: 'It is so.' },
        { type: 'citations_delta', citation: link('https://b.test/2', null) },
      ]),
      ...stop('end_turn'),
    ],
    whole: message([
      { type: 'text', text: 'Grüße, Welt 🌍. ', citations: null },
      {
        type: 'text',
        text: 'It is so.',
        citations: [link('https://a.test/1', 'A'), link('https://b.test/2', null)],
      },
    ]),
  },
  'thoughts and parallel calls': {
    events: [
      start(),
      ...block(0, { type: 'thinking', thinking: '', signature: '' }, [
        { type: 'thinking_delta', thinking: 'Two cities, ' },
        { type: 'thinking_delta', thinking: 'two calls.' },
        { type: 'signature_delta', signature: 'EqQBCgIYAhIM1gbcDa9GJwZA2b3h' },
      ]),
      ...block(1, { type: 'redacted_thinking', data: 'EmwKAhgBEgy3va3pzix' }, []),
      ...block(2, { type: 'text', text: '', citations: null }, [{ type: 'text_delta', text: 'Let me see.' }]),
      ...block(3, toolUse('toolu_01', 'weather'), [
        { type: 'input_json_delta', partial_json: '' },
        { type: 'input_json_delta', partial_json: '{"city":"Z' },
        { type: 'input_json_delta', partial_json: 'ürich"}' },
      ]),
      { type: 'ping' },
      ...block(4, toolUse('toolu_02', 'weather'), [
        { type: 'input_json_delta', partial_json: '{"city":"Bern","days":3}' },
      ]),
      ...block(5, toolUse('toolu_03', 'clock'), [{ type: 'input_json_delta', partial_json: '' }]),
      ...stop('tool_use'),
    ],
    whole: message(
      [
        { type: 'thinking', thinking: 'Two cities, two calls.', signature: 'EqQBCgIYAhIM1gbcDa9GJwZA2b3h' },
        { type: 'redacted_thinking', data: 'EmwKAhgBEgy3va3pzix' },
        { type: 'text', text: 'Let me see.', citations: null },
        toolUse('toolu_01', 'weather', { city: 'Zürich' }),
        toolUse('toolu_02', 'weather', { city: 'Bern', days: 3 }),
        toolUse('toolu_03', 'clock', {}),
      ],
      { stop_reason: 'tool_use' },
    ),
  },
  'a refusal after some text': {
    events: [
      start(),
      ...block(0, { type: 'text', text: '', citations: null }, [{ type: 'text_delta', text: 'First' }]),
      ...stop('refusal', { type: 'refusal', category: 'cyber', explanation: 'This is against the policy.' }),
    ],
    whole: message([{ type: 'text', text: 'First', citations: null }], {
      stop_reason: 'refusal',
      stop_details: { type: 'refusal', category: 'cyber', explanation: 'This is against the policy.' },
    }),
  },
  'thoughts that are not shown, and the limit': {
    events: [
      start(),
      ...block(0, { type: 'thinking', thinking: '', signature: '' }, [
        { type: 'signature_delta', signature: 'EqQBCgIYAhIM' },
      ]),
      ...block(1, { type: 'text', text: 'At once', citations: null }, []),
      ...stop('max_tokens'),
    ],
    whole: message(
      [
        { type: 'thinking', thinking: '', signature: 'EqQBCgIYAhIM' },
        { type: 'text', text: 'At once', citations: null },
      ],
      { stop_reason: 'max_tokens' },
    ),
  },
  "Anthropic's own search, and a pause": {
    events: [
      start(),
      ...block(
        0,
        {
          type: 'server_tool_use',
          id: 'srvtoolu_1',
          name: 'web_search',
          input: {},
          caller: { type: 'direct' },
        },
        [{ type: 'input_json_delta', partial_json: '{"query":"so"}' }],
      ),
      ...block(
        1,
        {
          type: 'web_search_tool_result',
          tool_use_id: 'srvtoolu_1',
          content: [],
          caller: { type: 'direct' },
        },
        [],
      ),
      ...block(2, { type: 'text', text: '', citations: null }, [{ type: 'text_delta', text: 'Found.' }]),
      ...stop('pause_turn'),
    ],
    whole: message(
      [
        {
          type: 'server_tool_use',
          id: 'srvtoolu_1',
          name: 'web_search',
          input: { query: 'so' },
          caller: { type: 'direct' },
        },
        {
          type: 'web_search_tool_result',
          tool_use_id: 'srvtoolu_1',
          content: [],
          caller: { type: 'direct' },
        },
        { type: 'text', text: 'Found.', citations: null },
      ],
      { stop_reason: 'pause_turn' },
    ),
  },
};
