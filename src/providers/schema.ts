import { z } from 'zod';
import { choice, count, mark, read, secret } from '../schema/kit.ts';
import { ADAPTERS, type AdapterName } from './adapters.ts';
import type { Rate } from './settings.ts';

const adapters = Object.keys(ADAPTERS) as [AdapterName, ...AdapterName[]];

/** A number of something in a stretch of time: `500/minute`. */
function rate(example: string) {
  return read(`a rate such as ${example}; per second, minute, hour or day`, 'rate', (value): Rate | null => {
    const match = /^(\d{1,15})\s*\/\s*(second|minute|hour|day)$/.exec(String(value).trim());
    const limit = Number(match?.[1]);
    return limit > 0 ? { limit, per: match?.[2] as Rate['per'] } : null;
  });
}

export const providerSchema = z.strictObject({
  adapter: choice(adapters).describe('the dialect; each knows its own `base_url` and needs'),
  base_url: z.string().optional().describe("where the host is; left out = the adapter's own"),
  api_key: secret()
    .optional()
    .describe(
      'the key; `ollama` and `vllm` need none, without one `bedrock`, `azure` and `vertex` use the credentials of their surroundings',
    ),
  api_keys: mark(z.array(secret()), { secret: true })
    .optional()
    .describe('in place of `api_key`: a pool, each key with its own cooldown'),
  headers: mark(z.record(z.string(), secret()), { secret: true })
    .prefault({})
    .describe('sent with every call; a value is never shown'),
  proxy: secret()
    .prefault('')
    .describe('an HTTP proxy for this provider; empty = `HTTPS_PROXY` and `NO_PROXY` of the environment'),
  ca: z.string().prefault('').describe("a PEM file to trust besides the system's"),
  connections: count(1, 100_000)
    .prefault(256)
    .describe('requests and open streams at once, per origin; more wait for `timeouts.connect`'),
  limits: z
    .strictObject({
      requests: rate('500/minute')
        .optional()
        .describe('requests to the provider in any stretch of that length'),
      tokens: rate('200000/minute').optional().describe('tokens, of prompts and answers together'),
      concurrent: count(1).optional().describe('requests under way at a time'),
    })
    .prefault({})
    .describe(
      'of the provider, over all its keys and models; shared through `state.redis`; one that is full is skipped',
    ),
  adaptive: z
    .boolean()
    .prefault(false)
    .describe('true: after a 429 an upstream is asked half as often, then slowly more again'),
  region: z
    .string()
    .optional()
    .describe(
      '`bedrock`: the region; left out = that of `base_url`, else `AWS_REGION` or `AWS_DEFAULT_REGION` of the environment',
    ),
  resource: z.string().optional().describe('`azure`: the resource; needed unless there is a `base_url`'),
  deployments: z
    .record(z.string(), z.string().min(1))
    .optional()
    .describe('`azure`: the deployment of each model; others are called by the name of the model'),
  api_version: z
    .string()
    .optional()
    .describe('`azure`: calls the classic URLs of deployments, with this version; left out = those of v1'),
  project: z
    .string()
    .optional()
    .describe('`vertex`: the project; needed unless there is an `api_key` (express mode)'),
  location: z.string().optional().describe('`vertex`: the location; left out = `global`'),
});

export const providersSchema = z.record(z.string(), providerSchema).prefault({});

export type ProviderFile = z.output<typeof providerSchema>;
