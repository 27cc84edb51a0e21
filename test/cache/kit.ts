/** A gateway that keeps answers, its provider, and what a client sees of both. */
import { type GatewayOptions, startGateway, type TestGateway } from '../support/gateway.ts';
import type { CleansUp } from '../support/redis.ts';
import { startUpstream, type Upstream } from '../support/upstream.ts';

export interface Rig {
  gateway: TestGateway;
  upstream: Upstream;
}

/** `extra`: more of the configuration. The model `m` keeps answers unless it is given. */
export async function cachedGateway(
  t: CleansUp,
  extra: Record<string, unknown> = {},
  options: GatewayOptions & { upstream?: Upstream } = {},
): Promise<Rig> {
  const upstream = options.upstream ?? (await startUpstream());
  if (options.upstream === undefined) t.after(() => upstream.close());
  const gateway = await startGateway(
    {
      providers: { a: { adapter: 'openai', base_url: upstream.url, api_key: 'sk-a' } },
      models: { m: { provider: 'a', model: 'up', cache: { mode: 'exact', ttl: '1h' } } },
      ...extra,
    },
    options,
  );
  t.after(() => gateway.close());
  return { gateway, upstream };
}

export interface Seen {
  status: number;
  cache: string | null;
  age: string | null;
  cost: string | null;
  target: string | null;
  attempts: string | null;
  text: string;
}

export async function seen(response: Response | Promise<Response>): Promise<Seen> {
  const { status, headers, ...rest } = { ...head(await response) };
  return { status, ...headers, text: await rest.text };
}

function head(response: Response) {
  const { headers } = response;
  return {
    status: response.status,
    headers: {
      cache: headers.get('x-spillway-cache'),
      age: headers.get('age'),
      cost: headers.get('x-spillway-cost'),
      target: headers.get('x-spillway-target'),
      attempts: headers.get('x-spillway-attempts'),
    },
    text: response.text(),
  };
}

/** Posts to another path than the chat's. */
export function post(
  { gateway }: Rig,
  path: string,
  body: object,
  headers: Record<string, string> = {},
): Promise<Response> {
  return fetch(`${gateway.url}${path}`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', ...headers },
    body: JSON.stringify(body),
  });
}

/** How often each of these words comes. */
export function counted(words: readonly (string | null | undefined)[]): Record<string, number> {
  const counts: Record<string, number> = {};
  for (const word of words) counts[String(word)] = (counts[String(word)] ?? 0) + 1;
  return counts;
}

/** Resolves when so many requests are under way in the gateway, and have had time to find each other. */
export async function underWay(gateway: TestGateway, count: number): Promise<void> {
  for (;;) {
    if ((await gateway.metric('spillway_in_flight')) === count) break;
    await new Promise(setImmediate);
  }
  for (let i = 0; i < 20; i++) await new Promise(setImmediate);
}

/** Reads a stream piece by piece. */
export class Listener {
  readonly #reader: ReadableStreamDefaultReader<Uint8Array>;
  text = '';

  constructor(response: Response) {
    this.#reader = (response.body as ReadableStream<Uint8Array>).getReader();
  }

  async until(part: string): Promise<void> {
    while (!this.text.includes(part)) {
      const { done, value } = await this.#reader.read();
      if (done) throw new Error(`it ended before ${part}: ${this.text}`);
      this.text += Buffer.from(value).toString();
    }
  }

  async end(): Promise<string> {
    for (;;) {
      const { done, value } = await this.#reader.read();
      if (done) return this.text;
      this.text += Buffer.from(value).toString();
    }
  }
}
