/** Clients of streams that they mean to come back to. */
import assert from 'node:assert/strict';
import type { TestContext } from 'node:test';
import { keyOf, tenant } from '../gateways/kit.ts';
import { startGateway, type TestGateway } from '../support/gateway.ts';
import { StreamReader } from '../support/rig.ts';
import { startUpstream, type Upstream } from '../support/upstream.ts';

/** One that reads a stream as it comes, and may leave at any point. */
export class StreamClient extends StreamReader {
  /** `url` with its origin. Fails unless the answer is a stream. */
  static async open(url: string, init: RequestInit = {}): Promise<StreamClient> {
    const response = await fetch(url, init);
    if (response.status !== 200) assert.fail(`${response.status} ${await response.text()}`);
    assert.match(response.headers.get('content-type') ?? '', /^text\/event-stream/);
    return new StreamClient(response);
  }

  get id(): string {
    return this.response.headers.get('x-spillway-stream-id') ?? assert.fail('no id of the stream');
  }

  /** The events that came whole, without comments and pings. */
  get whole(): string {
    const end = this.text.lastIndexOf('\n\n');
    return end < 0 ? '' : withoutPings(this.text.slice(0, end + 2));
  }

  /** The number of the last of them. */
  get last(): number {
    return numbersIn(this.whole).at(-1) ?? 0;
  }
}

export function withoutPings(text: string): string {
  return text.replaceAll(': ping\n\n', '').replaceAll('event: ping\ndata: {"type":"ping"}\n\n', '');
}

/** The numbers of the events in a text. */
export function numbersIn(text: string): number[] {
  return [...text.matchAll(/^id: (\d+)$/gm)].map(([, number]) => Number(number));
}

export function withoutIds(text: string): string {
  return text.replaceAll(/^id: \d+\n/gm, '');
}

export const BODIES = {
  'chat/completions': { model: 'm', stream: true, messages: [{ role: 'user', content: 'hello' }] },
  messages: { model: 'm', stream: true, max_tokens: 50, messages: [{ role: 'user', content: 'hello' }] },
  responses: { model: 'm', stream: true, input: 'hello' },
} as const;

export type Path = keyof typeof BODIES;

export const PATHS = Object.keys(BODIES) as Path[];

/** What is sent to ask for a stream that can be come back to. */
export function asking(
  headers: Record<string, string> = {},
  path: Path = 'chat/completions',
  body: object = {},
): RequestInit {
  return {
    method: 'POST',
    headers: { 'content-type': 'application/json', 'x-spillway-resume': 'true', ...headers },
    body: JSON.stringify({ ...BODIES[path], ...body }),
  };
}

/** Asks, and is answered with a stream. */
export function begin(
  origin: string,
  headers: Record<string, string> = {},
  path: Path = 'chat/completions',
  body: object = {},
): Promise<StreamClient> {
  return StreamClient.open(`${origin}/v1/${path}`, asking(headers, path, body));
}

/** Comes back to one, for what is after this event. */
export function comeBack(
  origin: string,
  id: string,
  after: number | null,
  headers: Record<string, string> = {},
): Promise<StreamClient> {
  const query = after === null ? '' : `?after=${after}`;
  return StreamClient.open(`${origin}/v1/streams/${id}${query}`, { headers });
}

export async function errorOf(response: Response | Promise<Response>) {
  const answer = await response;
  const { error } = (await answer.json()) as {
    error: { code: string; message: string; param: string | null };
  };
  return { status: answer.status, code: error.code, param: error.param, message: error.message };
}

const quotas = [{ limit: 100_000, of: 'tokens', per: 'day' }];
/** Headers of two tenants' keys. */
export const ACME = { authorization: `Bearer ${keyOf('acme')}` };
export const GLOBEX = { authorization: `Bearer ${keyOf('globex')}` };

/** A gateway with one target that does not know the dialects of others, and the stand-in for it. */
export async function start(
  t: TestContext,
  more: object = {},
): Promise<{ gateway: TestGateway; upstream: Upstream; origin: string }> {
  const upstream = await startUpstream();
  const gateway = await startGateway({
    auth: 'keys',
    tenants: [tenant('acme', quotas), tenant('globex', [])],
    providers: { a: { adapter: 'vllm', base_url: upstream.url, api_key: 'sk-a' } },
    models: { m: { provider: 'a', model: 'up', retry: { attempts: 0 } } },
    ...more,
  });
  t.after(async () => {
    await gateway.close();
    await upstream.close();
  });
  return { gateway, upstream, origin: gateway.origin };
}
