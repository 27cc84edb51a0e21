/** The requests that the demo shows: as a command to copy, and sent by itself for `--once`. */

export interface Example {
  title: string;
  body: {
    model: string;
    messages: { role: string; content: string }[];
    stream?: boolean;
    max_tokens?: number;
  };
  /** What its answer has to hold. */
  expected: { status: number; target: string | null; text: string };
}

const MESSAGES = [{ role: 'user', content: 'hello' }];

export const KEY = 'sw-demo';

export const EXAMPLES: readonly Example[] = [
  {
    title: 'Two of three upstreams fail, the client gets its answer:',
    body: { model: 'chat', messages: MESSAGES },
    expected: { status: 200, target: 'steady/gpt-6-luna', text: 'Hello from the steady stand-in' },
  },
  {
    title: 'The same as a stream:',
    body: { model: 'chat', stream: true, messages: MESSAGES },
    expected: { status: 200, target: 'steady/gpt-6-luna', text: 'data: [DONE]' },
  },
  {
    title: 'Nobody left to ask: one clear error, that says what was tried:',
    body: { model: 'hopeless', messages: MESSAGES },
    expected: { status: 502, target: null, text: 'upstream_error' },
  },
  {
    title: 'A stream that breaks after it began: never an end that looks like success:',
    body: { model: 'torn', stream: true, messages: MESSAGES },
    expected: { status: 200, target: 'shaky/gpt-6-luna', text: 'stream_interrupted' },
  },
  {
    title: 'More than the quota has left: refused before anything is sent, and it says what fits:',
    body: { model: 'balanced', max_tokens: 5000, messages: MESSAGES },
    expected: { status: 429, target: null, text: '2000 output tokens per hour' },
  },
];

/** A line for a terminal. `-i` shows the headers, `-N` each piece as it comes. */
export function curlLine(example: Example, origin: string): string {
  const flags = example.body.stream === true ? '-isN' : '-is';
  return [
    `curl ${flags} ${origin}/v1/chat/completions`,
    `-H 'authorization: Bearer ${KEY}' -H 'content-type: application/json'`,
    `-d '${JSON.stringify(example.body)}'`,
  ].join(' ');
}

export interface Answer {
  status: number;
  target: string | null;
  attempts: string | null;
  text: string;
}

export async function send(example: Example, origin: string): Promise<Answer> {
  const response = await fetch(`${origin}/v1/chat/completions`, {
    method: 'POST',
    headers: { authorization: `Bearer ${KEY}`, 'content-type': 'application/json' },
    body: JSON.stringify(example.body),
  });
  return {
    status: response.status,
    target: response.headers.get('x-spillway-target'),
    attempts: response.headers.get('x-spillway-attempts'),
    text: await response.text(),
  };
}

export function isAsExpected({ expected }: Example, answer: Answer): boolean {
  return (
    answer.status === expected.status &&
    answer.target === expected.target &&
    answer.text.includes(expected.text)
  );
}
