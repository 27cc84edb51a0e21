import { z } from 'zod';
import { choice, count, mark, notYet, secret } from '../schema/kit.ts';
import { HOST_PRESETS, type HostName } from './presets.ts';

const hosts = Object.keys(HOST_PRESETS) as [HostName, ...HostName[]];

export const providerSchema = z.strictObject({
  adapter: choice(hosts, ['azure', 'anthropic', 'bedrock', 'gemini', 'vertex']).describe(
    'the dialect; each knows its own `base_url` and needs',
  ),
  base_url: z.string().optional().describe("where the host is; left out = the adapter's own"),
  api_key: secret().optional().describe('the key; `ollama` and `vllm` need none'),
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
  connections: count(1, 100_000).prefault(256).describe('sockets per origin'),
  limits: notYet(
    z
      .record(z.string(), z.unknown())
      .prefault({})
      .describe(
        '`{ requests: 500/minute, tokens: 200000/minute, concurrent: 50 }`: an upstream that is full is skipped',
      ),
  ),
  adaptive: notYet(z.boolean().prefault(false).describe('lower the rate on 429s, raise it slowly')),
  region: notYet(z.string().describe('`bedrock`: the region')),
  resource: notYet(z.string().describe('`azure`: the resource')),
  deployments: notYet(z.record(z.string(), z.string()).describe('`azure`: the deployment of each model')),
  api_version: notYet(z.string().describe('`azure`: for classic URLs')),
  project: notYet(z.string().describe('`vertex`: the project')),
  location: notYet(z.string().describe('`vertex`: the location')),
});

export const providersSchema = z.record(z.string(), providerSchema).prefault({});

export type ProviderFile = z.output<typeof providerSchema>;
