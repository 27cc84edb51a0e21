/** What is asked of every contestant, and what the stand-in upstream answers. Sizes are exact, so that rows compare. */

export interface Load {
  name: 'plain' | 'stream' | 'body-100k' | 'body-1m';
  title: string;
  body: Buffer;
  streamed: boolean;
  /** Requests at a time. Few for large bodies: those under way when a round ends cost CPU and are not counted. */
  connections: number;
  /** The contestant that the ratios are taken against. */
  yardstick: 'fastify' | 'http';
}

const TEXT = 'The relay passes on what it was given, word for word,\n and "says so" when it cannot. ';

function filler(length: number): string {
  return TEXT.repeat(Math.ceil(length / TEXT.length)).slice(0, length);
}

/** JSON of exactly `size` bytes: `make` is given as much text as fits. */
function sized(size: number, make: (text: string) => object): Buffer {
  let text = filler(size);
  for (;;) {
    const json = Buffer.from(JSON.stringify(make(text)));
    const surplus = json.length - size;
    if (surplus === 0) return json;
    // Escapes make a character take two bytes; what is cut too much is filled up with plain ones.
    text = surplus > 0 ? text.slice(0, -surplus) : text + '.'.repeat(-surplus);
  }
}

function question(size: number, extra: object = {}): Buffer {
  return sized(size, (text) => ({
    model: 'bench',
    messages: [
      { role: 'system', content: 'You are a careful assistant.' },
      { role: 'user', content: text },
    ],
    temperature: 0.7,
    max_tokens: 256,
    ...extra,
  }));
}

/** A long conversation: many messages rather than one long string, as parsers care. */
function conversation(size: number): Buffer {
  const turns = Array.from({ length: Math.floor(size / 2500) }, (_, index) => ({
    role: index % 2 === 0 ? 'user' : 'assistant',
    content: filler(2200),
  }));
  return sized(size, (text) => ({
    model: 'bench',
    messages: [...turns, { role: 'user', content: text }],
    max_tokens: 256,
  }));
}

export const LOADS: readonly Load[] = [
  {
    name: 'plain',
    title: 'Plain: a request of 240 bytes, an answer of 700, 32 at a time',
    body: question(240),
    streamed: false,
    connections: 32,
    yardstick: 'fastify',
  },
  {
    name: 'stream',
    title: 'Stream: 100 events of 250 bytes, as fast as they are taken, 32 at a time',
    body: question(240, { stream: true }),
    streamed: true,
    connections: 32,
    yardstick: 'http',
  },
  {
    name: 'body-100k',
    title: 'A request of 100 KB, an answer of 700 bytes, 8 at a time',
    body: conversation(100 * 1024),
    streamed: false,
    connections: 8,
    yardstick: 'fastify',
  },
  {
    name: 'body-1m',
    title: 'A request of 1 MB, an answer of 700 bytes, 2 at a time',
    body: conversation(1024 * 1024),
    streamed: false,
    connections: 2,
    yardstick: 'fastify',
  },
];

/** Asks for a stream whose events come `PACE_MS` apart, as a model writes them: no two arrive in one read. */
export const PACED_BODY = question(240, { stream: true, user: 'paced' });
export const PACE_MS = 5;

export const ANSWER = sized(700, (text) => ({
  id: 'chatcmpl-bench',
  object: 'chat.completion',
  created: 1_795_219_200,
  model: 'bench-model',
  choices: [
    {
      index: 0,
      message: { role: 'assistant', content: text, refusal: null },
      logprobs: null,
      finish_reason: 'stop',
    },
  ],
  usage: { prompt_tokens: 42, completion_tokens: 64, total_tokens: 106 },
}));

export const EVENT_BYTES = 250;
/** Precedes, in the first content of a stream, the instant at which it was written: 16 digits, nanoseconds. */
export const STAMP = '@';
export const STAMP_DIGITS = 16;

function event(make: (text: string) => { delta: object; finish: string | null }): Buffer {
  const json = sized(EVENT_BYTES - 'data: \n\n'.length, (text) => {
    const { delta, finish } = make(text);
    return {
      id: 'chatcmpl-bench',
      object: 'chat.completion.chunk',
      created: 1_795_219_200,
      model: 'bench-model',
      choices: [{ index: 0, delta, logprobs: null, finish_reason: finish }],
      obfuscation: text,
    };
  });
  return Buffer.concat([Buffer.from('data: '), json, Buffer.from('\n\n')]);
}

/** 100 events: the role, 98 times content (the first with room for a stamp), the finish. `[DONE]` comes on top. */
export const EVENTS: readonly Buffer[] = [
  event(() => ({ delta: { role: 'assistant', content: '' }, finish: null })),
  event(() => ({ delta: { content: STAMP + '0'.repeat(STAMP_DIGITS) }, finish: null })),
  ...Array.from({ length: 97 }, () => event(() => ({ delta: { content: ' relayed' }, finish: null }))),
  event(() => ({ delta: {}, finish: 'stop' })),
];

export const USAGE_EVENT = Buffer.from(
  `data: ${JSON.stringify({
    id: 'chatcmpl-bench',
    object: 'chat.completion.chunk',
    created: 1_795_219_200,
    model: 'bench-model',
    choices: [],
    usage: { prompt_tokens: 42, completion_tokens: 98, total_tokens: 140 },
  })}\n\n`,
);

export const DONE = Buffer.from('data: [DONE]\n\n');
