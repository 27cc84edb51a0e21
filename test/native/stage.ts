/** A gateway in front of a stand-in for each provider. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import type { Usage } from '../../src/core/usage.ts';
import { type GatewayOptions, startGateway, type TestGateway } from '../support/gateway.ts';
import { startUpstream, type Upstream } from '../support/upstream.ts';
import { ADAPTERS, type AdapterName, MODELS } from './loop.ts';

/** Keys as each provider is given them. */
export const KEYS: Readonly<Record<AdapterName, string>> = {
  openai: 'sk-openai-Zq7Xw2Lm9Rt4',
  azure: 'azure-Hh3Kd8Pw1Ny6',
  anthropic: 'sk-ant-Jf5Vb0Gs2Tc7',
  bedrock: 'ABSK-bedrock-Xe9Qm4Ul1',
  gemini: 'AIza-gemini-Ro6Zk3Ya8',
  vertex: 'AQ.vertex-Bi2Wd7Co5',
};

/** Nanodollars for a token. As dollars for a million tokens in the test's file of prices. */
export const RATES = { in: 3000, cacheRead: 300, cacheWrite: 3750, cacheWriteHour: 6000, out: 15_000 };

/** Nanodollars, by those rates. */
export function costOf({ input, output, cached, cacheWrite, cacheWriteHour = 0 }: Usage): number {
  const fresh = input - cached - cacheWrite;
  return (
    fresh * RATES.in +
    cached * RATES.cacheRead +
    (cacheWrite - cacheWriteHour) * RATES.cacheWrite +
    cacheWriteHour * RATES.cacheWriteHour +
    output * RATES.out
  );
}

const PRICES = {
  prices: [{ models: ['*'], in: 3, cache_read: 0.3, cache_write: 3.75, cache_write_1h: 6, out: 15 }],
};

export interface Stage {
  gateway: TestGateway;
  upstreams: Readonly<Record<AdapterName, Upstream>>;
  /** For files that the configuration names. */
  folder: string;
  /** What the gateway was started with: for tests that change a part of it. */
  config: object;
}

export interface StageOptions extends GatewayOptions {
  /** Put over the usual sections. */
  config?: object;
  /** Of models beside those of the adapters' names. */
  models?: Record<string, object>;
}

/**
 * A model of each adapter's name, and `A-then-B` for each pair of adapters: A, and B where that fails. No retries, and breakers that do not
 * open: the same stand-in fails again and again.
 */
export async function startStage(t: TestContext, options: StageOptions = {}): Promise<Stage> {
  const folder = mkdtempSync(join(tmpdir(), 'spillway-native-'));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  writeFileSync(join(folder, 'prices.yaml'), JSON.stringify(PRICES));
  const started = await Promise.all(ADAPTERS.map(async (name) => [name, await startUpstream()] as const));
  const upstreams = Object.fromEntries(started) as Record<AdapterName, Upstream>;
  const models: Record<string, object> = {};
  for (const adapter of ADAPTERS) {
    const target = { provider: adapter, model: MODELS[adapter] };
    models[adapter] = target;
    for (const other of ADAPTERS) {
      const next = { provider: other, model: MODELS[other] };
      models[`${adapter}-then-${other}`] = { strategy: { mode: 'fallback' }, targets: [target, next] };
    }
  }
  const config = {
    providers: providersAt(upstreams),
    models: { ...models, ...options.models },
    defaults: { retry: { attempts: 0 }, breaker: { consecutive_failures: 10_000, min_requests: 10_000 } },
    server: { heartbeat: '0' },
    prices: join(folder, 'prices.yaml'),
    ...options.config,
  };
  const gateway = await startGateway(config, options);
  t.after(async () => {
    await gateway.close();
    const closed = await Promise.allSettled(Object.values(upstreams).map((upstream) => upstream.close()));
    for (const one of closed) if (one.status === 'rejected') throw one.reason;
  });
  return { gateway, upstreams, folder, config };
}

function providersAt(upstreams: Readonly<Record<AdapterName, Upstream>>): Record<string, object> {
  const at = (name: AdapterName) => `http://127.0.0.1:${upstreams[name].port}`;
  const google = { project: 'p', location: 'us-central1' };
  return {
    openai: { adapter: 'openai', base_url: `${at('openai')}/v1`, api_key: KEYS.openai },
    azure: { adapter: 'azure', base_url: `${at('azure')}/openai/v1`, api_key: KEYS.azure },
    anthropic: { adapter: 'anthropic', base_url: at('anthropic'), api_key: KEYS.anthropic },
    bedrock: { adapter: 'bedrock', base_url: at('bedrock'), region: 'us-east-1', api_key: KEYS.bedrock },
    gemini: { adapter: 'gemini', base_url: at('gemini'), api_key: KEYS.gemini },
    vertex: { adapter: 'vertex', base_url: at('vertex'), ...google, api_key: KEYS.vertex },
  };
}
