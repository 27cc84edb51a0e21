import type { TestContext } from 'node:test';
import OpenAI, { type ClientOptions } from 'openai';
import { type Aimock, startAimock } from '../support/aimock.ts';
import { type GatewayOptions, startGateway, type TestGateway } from '../support/gateway.ts';
import { startUpstream, type Upstream } from '../support/upstream.ts';

/** The official SDK before this gateway, as an application would set it up but for its retries. */
export function sdk(gateway: TestGateway, options: ClientOptions = {}): OpenAI {
  return new OpenAI({ baseURL: gateway.url, apiKey: 'sk-of-the-client', maxRetries: 0, ...options });
}

export interface Relayed {
  gateway: TestGateway;
  client: OpenAI;
}

/** The SDK, the gateway with the model `m`, and a mock server that somebody else wrote. Nothing is tried again. */
export async function throughAimock(
  t: TestContext,
  config: object = {},
): Promise<Relayed & { aimock: Aimock }> {
  const aimock = await startAimock();
  const relayed = await relay(t, aimock.url, config);
  t.after(() => aimock.stop());
  return { ...relayed, aimock };
}

/** The same before the stand-in that misbehaves as it is told. */
export async function throughStandIn(
  t: TestContext,
  config: object = {},
  options: GatewayOptions = {},
): Promise<Relayed & { upstream: Upstream }> {
  const upstream = await startUpstream();
  const relayed = await relay(t, upstream.url, config, options);
  t.after(() => upstream.close());
  return { ...relayed, upstream };
}

async function relay(t: TestContext, baseUrl: string, config: object, options: GatewayOptions = {}) {
  const gateway = await startGateway(
    {
      providers: { a: { adapter: 'openai', base_url: baseUrl, api_key: 'sk-of-the-gateway' } },
      models: { m: { provider: 'a', model: 'gpt-6-sol', retry: { attempts: 0 } } },
      ...config,
    },
    options,
  );
  t.after(() => gateway.close());
  return { gateway, client: sdk(gateway) };
}

/** What a user says. */
export function says(content: string): { role: 'user'; content: string }[] {
  return [{ role: 'user', content }];
}
