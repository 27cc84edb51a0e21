/** The configurations that Spillway is measured with: `spillway.yaml`, and what a row has otherwise. */
import { randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parse } from 'yaml';

export interface Variant {
  /** False: none. */
  quotas?: false;
  /** Counts in a Redis of its own. */
  redis?: true;
  /** So many tenants, of whom one asks, or two; 10 unless said. */
  tenants?: number;
  /** So many models of two targets each, of which one is asked for; 10 unless said. */
  models?: number;
  workers?: number;
  midStream?: 'continue';
  /** What its targets speak; OpenAI's words unless said. */
  adapter?: 'anthropic' | 'gemini' | 'bedrock';
  /** As `npm run build` makes it, not from the sources. */
  built?: true;
}

/** Tenants or models, unless a row is about their number. */
const USUAL = 10;

interface Configuration {
  server?: object;
  defaults?: object;
  providers: Record<string, { base_url: string; [key: string]: unknown }>;
  models: Record<string, object>;
  tenants: { id: string; keys: object[]; quotas?: object[] }[];
}

/** As the file would have it, for JSON is YAML. BENCH_UPSTREAM, BENCH_KEY, BENCH_OTHER_KEY and BENCH_REDIS are still to come from the environment. */
export function configuration(variant: Variant): object {
  const { quotas, tenants = USUAL, models = USUAL, workers, midStream, adapter } = variant;
  const config = parse(readFileSync(join(import.meta.dirname, '../spillway.yaml'), 'utf8')) as Configuration;
  if (adapter !== undefined) {
    for (const [name, provider] of Object.entries(config.providers)) {
      const region = adapter === 'bedrock' ? { region: 'us-east-1' } : {};
      config.providers[name] = {
        ...provider,
        adapter,
        base_url: provider.base_url.replace(/\/v1$/, ''),
        ...region,
      };
    }
  }
  const only = Object.values(config.models)[0] as object;
  for (let index = Object.keys(config.models).length; index < models; index++)
    config.models[`model-${index}`] = another(only, index);
  for (let index = config.tenants.length; index < tenants; index++) config.tenants.push(tenant(index));
  if (quotas === false) for (const one of config.tenants) delete one.quotas;
  return {
    ...config,
    ...(workers === undefined ? {} : { server: { ...config.server, workers } }),
    ...(midStream === undefined ? {} : { defaults: { ...config.defaults, mid_stream: midStream } }),
  };
}

/** The same tree over targets of their own: none is shared with another model. */
function another(model: object, index: number): object {
  const { targets, ...tree } = model as { targets: object[] };
  return { ...tree, targets: targets.map((target) => ({ ...target, model: `bench-model-${index}` })) };
}

function tenant(index: number) {
  return {
    id: `tenant-${index}`,
    keys: [{ id: 'only', sha256: randomBytes(32).toString('hex') }],
    quotas: [
      { limit: 1000, of: 'requests', per: 'minute' },
      { limit: 1_000_000, of: 'tokens', per: 'hour' },
    ],
  };
}
