import assert from 'node:assert/strict';
import { type GatewayOptions, startGateway, type TestGateway } from '../support/gateway.ts';
import type { GatewayProcess } from '../support/process.ts';
import { RawClient } from '../support/raw-http.ts';
import { startUpstream, type Upstream } from '../support/upstream.ts';

export interface Served {
  gateway: TestGateway;
  upstream: Upstream;
  /** The same gateway's configuration with these sections in place of its own. */
  configWith(changes: object): object;
}

/** A gateway whose model `m` is the target `a/up`, with no retries, and the stand-in behind it. Both end with the test. */
export async function serve(
  t: { after(cleanUp: () => Promise<void>): void },
  config: object = {},
  options: GatewayOptions = {},
): Promise<Served> {
  const upstream = await startUpstream();
  let gateway: TestGateway | null = null;
  t.after(async () => {
    await gateway?.close();
    await upstream.close();
  });
  const configWith = (changes: object) => ({
    providers: { a: { adapter: 'vllm', base_url: upstream.url } },
    models: { m: { provider: 'a', model: 'up', retry: { attempts: 0 } } },
    ...config,
    ...changes,
  });
  gateway = await startGateway(configWith({}), options);
  return { gateway, upstream, configWith };
}

export interface ErrorObject {
  message: string;
  type: string;
  param: string | null;
  code: string;
}

/** Fails unless this is an error in OpenAI's shape and nothing else; returns it. */
export function errorIn(body: string): ErrorObject {
  const value = JSON.parse(body) as { error: ErrorObject };
  assert.deepEqual(Object.keys(value), ['error']);
  assert.deepEqual(Object.keys(value.error), ['message', 'type', 'param', 'code']);
  assert.equal(typeof value.error.message, 'string');
  return value.error;
}

export interface Refusal {
  status: number;
  type: string;
  code: string;
  param: string | null;
}

/** Checks what every error has, wherever it came from, and returns what differs. */
export async function refusalOf(response: Response): Promise<Refusal & { message: string }> {
  assert.match(response.headers.get('content-type') ?? '', /^application\/json/);
  assert.match(response.headers.get('x-request-id') ?? '', /^[A-Za-z0-9._-]{1,128}$/);
  const { message, type, param, code } = errorIn(await response.text());
  return { status: response.status, message, type, code, param };
}

/** The same, for comparing: without the message. */
export async function shortRefusalOf(response: Response): Promise<Refusal> {
  const { status, type, code, param } = await refusalOf(response);
  return { status, type, code, param };
}

/** A chat request's body. */
export function chatBody(changes: object = {}): string {
  return JSON.stringify({ model: 'm', messages: [{ role: 'user', content: 'hello' }], ...changes });
}

/** The head of a chat request as it goes over the wire, up to and with the empty line. */
export function chatHead(headers: Readonly<Record<string, string | number>>): string {
  const lines = Object.entries(headers).map(([name, value]) => `${name}: ${value}`);
  return ['POST /v1/chat/completions HTTP/1.1', 'host: gateway', ...lines].join('\r\n').concat('\r\n\r\n');
}

/** Has the gateway take over another configuration, and fails unless it does. */
export async function reloadWith(gateway: TestGateway, config: object): Promise<void> {
  gateway.changeConfig(config);
  const response = await fetch(`${gateway.admin}/admin/reload`, { method: 'POST' });
  assert.equal(response.status, 200, await response.text());
}

/** From now on nobody reads its log, and there is more of it than a pipe holds. */
export async function leaveLogUnread(gateway: GatewayProcess, listen: string): Promise<void> {
  gateway.child.stdout?.pause();
  const client = await RawClient.connect(listen);
  for (let round = 0; round < 30; round++) {
    await client.send(`${chatHead({ 'content-length': 2 })}{}`.repeat(100));
    for (let n = 0; n < 100; n++) await client.response();
  }
  client.destroy();
}
