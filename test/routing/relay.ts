import type { TestContext } from 'node:test';
import type { JsonObject } from '../../src/core/json.ts';
import { type GatewayOptions, startGateway, type TestGateway } from '../support/gateway.ts';
import { startUpstream, type Upstream } from '../support/upstream.ts';

export interface Relay {
  upstream: Upstream;
  gateway: TestGateway;
  /** `model` of each request that the stand-in has seen, in order. */
  models(): string;
  /** The bodies it has seen, without `messages`. */
  bodies(): JsonObject[];
}

/** A gateway with the providers `a` and `b`, both of them the same stand-in, that tries nothing twice unless it says so. */
export async function startRelay(t: TestContext, config: object, options?: GatewayOptions): Promise<Relay> {
  const upstream = await startUpstream();
  t.after(() => upstream.close());
  const provider = { adapter: 'vllm', base_url: upstream.url };
  const gateway = await startGateway(
    { providers: { a: provider, b: provider }, defaults: { retry: { attempts: 0 } }, ...config },
    options,
  );
  t.after(() => gateway.close());
  return {
    upstream,
    gateway,
    models: () => upstream.requests.map((request) => request.json()['model']).join(' '),
    bodies: () =>
      upstream.requests.map((request) => {
        const { messages, ...rest } = request.json();
        return rest;
      }),
  };
}
