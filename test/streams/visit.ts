import assert from 'node:assert/strict';
import type { TestContext } from 'node:test';
import { NOTHING_KNOWN } from '../../src/capabilities/capabilities.ts';
import { Cancellation } from '../../src/core/cancellation.ts';
import type { JsonObject } from '../../src/core/json.ts';
import { JsonBody } from '../../src/core/json-body.ts';
import type { Credentials } from '../../src/credentials/credentials.ts';
import { MediaFetcher } from '../../src/media/media.ts';
import type { TargetSettings } from '../../src/routing/target.ts';
import { DONE_EVENT } from '../../src/sse/encoder.ts';
import type { CallContext } from '../../src/upstream/call.ts';
import { UpstreamRegistry } from '../../src/upstream/registry.ts';
import type { BegunStream } from '../../src/upstream/stream-roles.ts';
import { type Visit, visit } from '../../src/upstream/visit.ts';
import { ManualClock } from '../support/manual-clock.ts';
import { startUpstream, type Upstream } from '../support/upstream.ts';

export const TARGET: TargetSettings = {
  id: 'a/up',
  provider: 'a',
  model: 'up',
  overrideParams: {},
  retry: {
    attempts: 0,
    onStatusCodes: [],
    backoff: { kind: 'constant', base: 1, factor: 1, max: 1, jitter: 'none' },
    maxDelayByStatus: {},
    respectRetryAfter: true,
    maxRetryAfter: 1000,
    budget: { ratio: 1, minPerSecond: 1 },
  },
  timeouts: { connect: 5000, firstToken: 30_000, idle: 10_000, attempt: 300_000, total: 600_000 },
  strictParams: false,
  cacheMarkers: false,
  midStream: 'error',
  prefill: null,
  cacheTtl: null,
  breaker: {
    window: 10_000,
    minRequests: 100,
    failureRate: 1,
    consecutiveFailures: 100,
    openFor: 1000,
    maxOpenFor: 1000,
    halfOpenProbes: 1,
    share: false,
  },
};

export const PROVIDER = {
  id: 'a',
  adapter: 'openai',
  baseUrl: '',
  apiKeys: [null] as (string | null)[],
  headers: {},
  proxy: null,
  ca: null,
  connections: 8,
  limits: null,
  adaptive: false,
  region: null,
  resource: null,
  deployments: {},
  apiVersion: null,
  project: null,
  location: null,
};

/** One request for a stream, made to one target by the part that calls upstreams, without a gateway around it. */
export interface Asked {
  visit: Visit;
  /** Fails unless the target answered with a stream. */
  stream: BegunStream;
  cancellation: Cancellation;
}

export interface Target {
  upstream: Upstream;
  settings: TargetSettings;
  clock: ManualClock;
  ask(body?: JsonObject, context?: Partial<CallContext>, wantsUsage?: boolean): Promise<Asked>;
}

/** `credentials`: what authorizes each call; left out: none is needed. */
export async function openTarget(
  t: TestContext,
  settings: Partial<TargetSettings> = {},
  credentials?: Credentials,
): Promise<Target> {
  const upstream = await startUpstream();
  const clock = new ManualClock(1000);
  const registry = new UpstreamRegistry({
    clock,
    chance: () => 0.5,
    onTransition: () => {},
    environment: {},
  });
  t.after(async () => {
    await registry.destroy();
    await upstream.close();
  });
  const wanted = { ...TARGET, ...settings };
  const provider = { ...PROVIDER, baseUrl: upstream.url };
  const target = registry
    .load(new Map([['a', provider]]), [wanted], {
      capabilities: () => NOTHING_KNOWN,
      credentials: new Map(credentials === undefined ? [] : [['a', credentials]]),
      limiters: new Map(),
    })
    .get(wanted);
  assert.ok(target);
  return {
    upstream,
    settings: wanted,
    clock,
    async ask(body = {}, context = {}, wantsUsage = true) {
      const cancellation = new Cancellation();
      const messages = [{ role: 'user', content: 'hello' }];
      const asked = JsonBody.parse(
        Buffer.from(JSON.stringify({ model: 'm', messages, stream: true, ...body })),
      );
      const end = await visit(target, {
        request: {
          dialect: 'chat',
          body: asked,
          streaming: true,
          wantsUsage,
          headers: [],
          chat: () => asked,
        },
        passedHeaders: [],
        requestId: 'r',
        startedAt: clock.now(),
        cancellation,
        tries: [],
        tenant: 'acme',
        slept: [],
        mayTake: () => ({ input: 0, output: 0 }),
        clock,
        chance: () => 0.5,
        redact: (text) => text,
        presenter: () => assert.fail('a chat needs no other words'),
        memory: { remember: () => {}, recall: () => null },
        media: new MediaFetcher(),
        newId: () => 'new',
        continuing: null,
        events: {
          tried: () => {},
          firstToken: () => {},
          retryDenied: () => {},
          limited: () => {},
          interrupted: () => {},
          continued: () => {},
          dropped: () => {},
        },
        ...context,
      });
      return {
        visit: end,
        get stream() {
          assert.ok(end.kind === 'answered' && end.answer.kind === 'stream');
          return end.answer.stream;
        },
        cancellation,
      };
    },
  };
}

/** All that a client would get of this stream. */
export function delivered(stream: BegunStream): Promise<string> {
  return new Promise((resolve) => {
    const written: Buffer[] = [];
    stream.flow({
      write: (bytes) => written.push(bytes) > 0,
      end: (failure) => {
        if (failure === null) written.push(DONE_EVENT);
        resolve(Buffer.concat(written).toString());
      },
    });
  });
}
