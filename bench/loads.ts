/** What is asked of every row. Sizes are exact, so that rows compare. */

export type Dialect = 'chat' | 'messages';

export const PATHS: Readonly<Record<Dialect, string>> = {
  chat: '/v1/chat/completions',
  messages: '/v1/messages',
};

/**
 * Whose answers come how: at once (no user), or as late as the quickest of models begin; and of streams, whose events: some time apart, or now and
 * then, to readers that keep up or do not.
 */
export type Pace = 'late' | 'paced' | 'held' | 'slow';

export const LATE_MS = 50;
export const PACE_MS = 5;
export const HELD_MS = 1000;

const TEXT = 'The relay passes on what it was given, word for word,\n and "says so" when it cannot. ';

export function filler(length: number): string {
  return TEXT.repeat(Math.ceil(length / TEXT.length)).slice(0, length);
}

/** JSON of exactly `size` bytes: `make` is given as much text as fits. */
export function sized(size: number, make: (text: string) => object): Buffer {
  let text = filler(size);
  for (;;) {
    const json = Buffer.from(JSON.stringify(make(text)));
    const surplus = json.length - size;
    if (surplus === 0) return json;
    if (surplus > 0 && text === '') throw new Error(`it does not fit into ${size} bytes`);
    // Escapes make a character take two bytes; what is cut too much is filled up with plain ones.
    text = surplus > 0 ? text.slice(0, -surplus) : text + '.'.repeat(-surplus);
  }
}

/** A short question. */
export function question(
  dialect: Dialect,
  extra: { model?: string; stream?: true; user?: Pace } = {},
): Buffer {
  const system = 'You are a careful assistant.';
  const common = { temperature: 0.7, max_tokens: 256, ...extra };
  if (dialect === 'messages') {
    return sized(240, (text) => ({
      model: 'bench',
      system,
      messages: [{ role: 'user', content: text }],
      ...common,
    }));
  }
  return sized(240, (text) => ({
    model: 'bench',
    messages: [
      { role: 'system', content: system },
      { role: 'user', content: text },
    ],
    ...common,
  }));
}

/** A question about an image that comes with it. */
export function picture(size: number): Buffer {
  // Of four characters each three bytes; some are left for what stands around it.
  const image = Buffer.alloc(Math.floor((size - 512) / 4) * 3, TEXT).toString('base64');
  return sized(size, (text) => ({
    model: 'bench',
    messages: [
      {
        role: 'user',
        content: [
          { type: 'text', text },
          { type: 'image_url', image_url: { url: `data:image/png;base64,${image}` } },
        ],
      },
    ],
    max_tokens: 256,
  }));
}

/** A long conversation: many messages rather than one long string, as parsers care. */
export function conversation(size: number): Buffer {
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
