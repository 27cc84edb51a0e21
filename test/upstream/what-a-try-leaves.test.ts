import assert from 'node:assert/strict';
import { describe, it, type TestContext } from 'node:test';
import type { Dispatcher } from 'undici';
import { NOTHING_KNOWN } from '../../src/capabilities/capabilities.ts';
import { Cancellation } from '../../src/core/cancellation.ts';
import { JsonBody } from '../../src/core/json-body.ts';
import type { OutcomeKind, TryRecord } from '../../src/core/outcome.ts';
import type { Credentials } from '../../src/credentials/credentials.ts';
import { MediaFetcher } from '../../src/media/media.ts';
import { MemoryStore } from '../../src/quota/memory-store.ts';
import type { TargetSettings } from '../../src/routing/target.ts';
import type { CallContext } from '../../src/upstream/call.ts';
import { ProviderLimiter } from '../../src/upstream/provider-limits.ts';
import { UpstreamRegistry } from '../../src/upstream/registry.ts';
import { Sockets } from '../../src/upstream/sockets.ts';
import { plainFailure } from '../../src/upstream/transport-failure.ts';
import { visit } from '../../src/upstream/visit.ts';
import { PROVIDER, TARGET } from '../streams/visit.ts';
import { ManualClock } from '../support/manual-clock.ts';

const ANSWER = {
  choices: [{ index: 0, message: { role: 'assistant', content: 'Hi' }, finish_reason: 'stop' }],
};

/** One target, and what it answers: each status after so many milliseconds of the clock's. */
function open(
  t: TestContext,
  answers: { status: number; afterMs: number }[],
  more: Partial<TargetSettings> = {},
  credentials: Credentials | null = null,
  changed: Partial<CallContext> = {},
) {
  const clock = new ManualClock(5000);
  const registry = new UpstreamRegistry({
    clock,
    chance: () => 0.5,
    onTransition: () => {},
    environment: {},
  });
  t.after(() => registry.destroy());
  const settings = { ...TARGET, ...more };
  const provider = { ...PROVIDER, baseUrl: 'http://127.0.0.1:9/v1' };
  const knowledge = {
    capabilities: () => NOTHING_KNOWN,
    credentials: new Map(credentials === null ? [] : [['a', credentials]]),
    limiters: new Map(),
  };
  const target = registry.load(new Map([['a', provider]]), [settings], knowledge).get(settings);
  assert.ok(target);
  const controller = { abort: () => {}, pause: () => {}, resume: () => {} };
  const asked: string[][] = [];
  const dispatcher = {
    dispatch({ headers }: { headers: string[] }, handler: Dispatcher.DispatchHandler) {
      asked.push(headers);
      const { status, afterMs } = answers.shift() ?? { status: 200, afterMs: 0 };
      const to = controller as unknown as Dispatcher.DispatchController;
      handler.onRequestStart?.(to, null);
      clock.advance(afterMs);
      handler.onResponseStart?.(to, status, { 'content-type': 'application/json' }, '');
      handler.onResponseData?.(to, Buffer.from(JSON.stringify(status === 200 ? ANSWER : { error: 'no' })));
      handler.onResponseEnd?.(to, {});
      return true;
    },
  };
  target.sockets = new Sockets(10, () => dispatcher as unknown as Dispatcher);
  const tries: TryRecord[] = [];
  const told: OutcomeKind[] = [];
  const body = JsonBody.parse(Buffer.from('{"model":"m","messages":[{"role":"user","content":"hello"}]}'));
  const nothing = () => {};
  const context: CallContext = {
    request: { dialect: 'chat', body, streaming: false, wantsUsage: false, headers: [], chat: () => body },
    passedHeaders: ['accept', 'application/json'],
    requestId: 'r',
    startedAt: clock.now(),
    cancellation: new Cancellation(),
    tries,
    tenant: 'acme',
    slept: [],
    mayTake: () => ({ input: 0, output: 0 }),
    clock,
    chance: () => 0.5,
    redact: (text) => text,
    presenter: () => assert.fail('a chat needs no other words'),
    memory: { remember: nothing, recall: () => null },
    media: new MediaFetcher(),
    newId: () => 'new',
    continuing: null,
    events: {
      tried: (_, outcome) => void told.push(outcome),
      firstToken: nothing,
      retryDenied: nothing,
      limited: nothing,
      interrupted: nothing,
      continued: nothing,
      dropped: nothing,
    },
    ...changed,
  };
  const upstream = target.lanes[0]?.upstream;
  assert.ok(upstream);
  return {
    clock,
    target,
    upstream,
    tries,
    told,
    asked,
    registry,
    settings,
    knowledge,
    ask: () => visit(target, context),
  };
}

describe('a try', () => {
  it('is in the story of its request with how it ended and how long it took', async (t) => {
    const { ask, tries, told, upstream } = open(t, [{ status: 200, afterMs: 250 }]);
    assert.equal((await ask()).kind, 'answered');
    assert.deepEqual(tries, [{ target: 'a/up', outcome: 'ok', status: 200, ms: 250, startedAt: 5000 }]);
    assert.deepEqual(told, ['ok']);
    assert.equal(upstream.inFlight, 0);
    assert.equal(upstream.speed.plain.average(), 250);
  });

  it('that failed is as well, and the one after it has another id', async (t) => {
    const retry = { ...TARGET.retry, attempts: 1, onStatusCodes: [500] };
    const { ask, clock, tries, told, asked, upstream } = open(t, [{ status: 500, afterMs: 40 }], { retry });
    const end = ask();
    await clock.advanceAsync(10);
    assert.equal((await end).kind, 'answered');
    assert.deepEqual(
      tries.map(({ outcome, status, ms }) => ({ outcome, status, ms })),
      [
        { outcome: 'server_error', status: 500, ms: 40 },
        { outcome: 'ok', status: 200, ms: 0 },
      ],
    );
    assert.deepEqual(told, ['server_error', 'ok']);
    assert.deepEqual(
      asked.map((headers) => headers[headers.indexOf('x-request-id') + 1]),
      ['r-1', 'r-2'],
    );
    assert.equal(upstream.inFlight, 0);
  });
});

describe('a try that a mistake of ours ends before it is sent', () => {
  it('holds nothing any more, and counts for nobody', async (t) => {
    const breaker = { ...TARGET.breaker, consecutiveFailures: 1, openFor: 1000 };
    let calls = 0;
    const credentials = {
      async authorize() {
        if (++calls === 2) throw new TypeError('undefined is not an object');
        return [];
      },
    };
    const rig = open(t, [{ status: 500, afterMs: 0 }], { breaker }, credentials);
    const { ask, clock, upstream, target, tries, told } = rig;
    assert.equal((await ask()).kind, 'failed');
    clock.advance(1100);
    await assert.rejects(ask(), TypeError);
    assert.equal(upstream.inFlight, 0);
    assert.equal(target.sockets.inUse, 0);
    assert.deepEqual(told, ['server_error', 'connection_failed']);
    assert.equal(tries.at(-1)?.outcome, 'connection_failed');
    assert.equal(upstream.breakerState, 'half_open', 'it was a probe, which has proved nothing');
    assert.equal((await ask()).kind, 'answered', 'the next one is a probe again');
    assert.equal(upstream.breakerState, 'closed');
  });
});

describe('a streamed try', () => {
  const failing = { ...TARGET.breaker, consecutiveFailures: 1, openFor: 1000 };
  const request = (): CallContext['request'] => {
    const body = JsonBody.parse(
      Buffer.from('{"messages":[{"role":"user","content":"hello"}],"stream":true}'),
    );
    return { dialect: 'chat', body, streaming: true, wantsUsage: true, headers: [], chat: () => body };
  };

  /** A target whose breaker lets one probe through; what a stream costs cannot be said the `wrongAt`-th time. */
  const probed = async (t: TestContext, wrongAt: number) => {
    let asked = 0;
    const priceOf = () => {
      if (++asked === wrongAt) throw new TypeError('undefined is not an object');
      return null;
    };
    const answers = [{ status: 500, afterMs: 0 }];
    const rig = open(t, answers, { breaker: failing }, null, { request: request(), priceOf });
    assert.equal((await rig.ask()).kind, 'failed');
    rig.clock.advance(1100);
    return rig;
  };

  const holdsNothing = async ({ upstream, target, ask }: Awaited<ReturnType<typeof probed>>) => {
    assert.equal(upstream.inFlight, 0);
    assert.equal(target.sockets.inUse, 0);
    assert.equal(upstream.breakerState, 'half_open', 'it was a probe, which has proved nothing');
    assert.equal((await ask()).kind, 'answered', 'the next one is a probe again');
  };

  it('that a mistake of ours ends before it begins holds nothing any more', async (t) => {
    const rig = await probed(t, 2);
    await assert.rejects(rig.ask(), TypeError);
    assert.deepEqual(rig.told, ['server_error'], 'it never was a try');
    await holdsNothing(rig);
  });

  it('whose whole answer cannot be told as a stream for a mistake of ours holds nothing any more', async (t) => {
    const rig = await probed(t, 3);
    await assert.rejects(rig.ask(), TypeError);
    assert.deepEqual(rig.told, ['server_error', 'connection_failed']);
    await holdsNothing(rig);
  });
});

describe('a try that a mistake of ours ends within its limits', () => {
  it('gives back its socket', async (t) => {
    const mayTake = () => {
      throw new TypeError('undefined is not an object');
    };
    const rig = open(t, [], {}, null, { mayTake });
    const { clock } = rig;
    const limits = { requests: null, tokens: { limit: 1000, per: 'minute' as const }, concurrent: null };
    rig.target.limiter = new ProviderLimiter(new MemoryStore({ wall: () => clock.wall(), ledgerDays: 1 }), {
      provider: 'a',
      limits,
      clock,
    });
    await assert.rejects(rig.ask(), TypeError);
    assert.equal(rig.target.sockets.inUse, 0);
    assert.equal(rig.upstream.inFlight, 0);
  });
});

describe('a request', () => {
  it('counts once for what retries are bounded by, however often it is tried', async (t) => {
    const budget = { ratio: 1, minPerSecond: 0 };
    const retry = { ...TARGET.retry, attempts: 5, onStatusCodes: [500], budget };
    const refusals = Array.from({ length: 6 }, () => ({ status: 500, afterMs: 0 }));
    const { ask, clock, tries } = open(t, refusals, { retry });
    const end = ask();
    await clock.advanceAsync(100);
    assert.equal((await end).kind, 'failed');
    assert.equal(tries.length, 2);
  });
});

describe('the breakers of an upstream', () => {
  it('stand as they stood when a new configuration is not taken over', async (t) => {
    const breaker = { ...TARGET.breaker, consecutiveFailures: 1 };
    const { ask, upstream, registry, settings, knowledge } = open(t, [{ status: 500, afterMs: 0 }], {
      breaker,
    });
    assert.equal((await ask()).kind, 'failed');
    assert.equal(upstream.admits(), false);
    const others = { ...settings, breaker: { ...breaker, consecutiveFailures: 7 } };
    const unknown = { ...settings, id: 'b/up', provider: 'b' };
    const provider = { ...PROVIDER, baseUrl: 'http://127.0.0.1:9/v1' };
    assert.throws(
      () => registry.load(new Map([['a', provider]]), [others, unknown], knowledge),
      /no provider b/,
    );
    assert.equal(upstream.admits(), false);
    assert.equal(upstream.breakerState, 'open');
    registry.load(new Map([['a', provider]]), [others], knowledge);
    assert.equal(upstream.admits(), true, 'the breaker of other settings is another one');
  });

  it('are not what a rate limit is waited out by: that is a cooldown', (t) => {
    const { clock, upstream } = open(t, []);
    upstream.failed(plainFailure('rate_limited', 'slow down'), clock.now());
    assert.equal(upstream.cooldownLeft(), 1000);
    assert.equal(upstream.admits(), true);
    clock.advance(1000);
    assert.equal(upstream.cooldownLeft(), 0);
  });
});
