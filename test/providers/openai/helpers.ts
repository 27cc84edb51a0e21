import { type ModelCapabilities, NOTHING_KNOWN } from '../../../src/capabilities/capabilities.ts';
import type { AnswerFacts } from '../../../src/chat/writer.ts';
import type { JsonObject } from '../../../src/core/json.ts';
import { JsonBody } from '../../../src/core/json-body.ts';
import type { Adapter, Ask, Prepared } from '../../../src/providers/adapter.ts';
import { openaiHost } from '../../../src/providers/openai/adapter.ts';
import { HOST_PRESETS, type HostName } from '../../../src/providers/presets.ts';
import type { ProviderSettings } from '../../../src/providers/settings.ts';

export const PROVIDER: ProviderSettings = {
  id: 'p',
  adapter: 'openai',
  baseUrl: 'https://api.example.com/v1',
  apiKeys: ['sk-1'],
  headers: {},
  proxy: null,
  ca: null,
  connections: 1,
  limits: null,
  adaptive: false,
  region: null,
  resource: null,
  deployments: {},
  apiVersion: null,
  project: null,
  location: null,
};

export const FACTS: AnswerFacts = {
  id: 'chatcmpl-1',
  created: 1_795_000_000,
  model: 'up',
  newId: () => 'new',
  remember: () => {},
};

export interface AskOptions extends Partial<Omit<Ask, 'body' | 'capabilities' | 'provider'>> {
  adapter?: Adapter | HostName;
  capabilities?: Partial<ModelCapabilities>;
  provider?: Partial<ProviderSettings>;
}

/** What a host is sent for this body. `model` is `up` unless it is said. */
export function prepare(body: object | string, options: AskOptions = {}): Prepared {
  const { adapter = 'openai', capabilities, provider, ...rest } = options;
  const host = typeof adapter === 'string' ? openaiHost(HOST_PRESETS[adapter]) : adapter;
  return host.prepare({
    dialect: 'chat',
    body: JsonBody.parse(Buffer.from(typeof body === 'string' ? body : JSON.stringify(body))),
    streaming: false,
    model: 'up',
    overrideParams: {},
    strict: false,
    cacheMarkers: false,
    recall: () => null,
    ...rest,
    capabilities: { ...NOTHING_KNOWN, ...capabilities },
    provider: { ...PROVIDER, baseUrl: host.baseUrl(PROVIDER), ...provider },
  });
}

export function textOf({ body }: Pick<Prepared, 'body'>): string {
  return Buffer.concat(body).toString();
}

/** The body as sent, parsed, with what was dropped. */
export function sent(
  body: object | string,
  options: AskOptions = {},
): { body: JsonObject; dropped: readonly string[] } {
  const prepared = prepare(body, options);
  return { body: JSON.parse(textOf(prepared)) as JsonObject, dropped: prepared.dropped };
}

export const HELLO = [{ role: 'user', content: 'Hello' }];
