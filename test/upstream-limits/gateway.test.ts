import assert from 'node:assert/strict';
import { describe, it, type TestContext } from 'node:test';
import OpenAI from 'openai';
import {
  ask,
  openGateway,
  openUpstream,
  PacedClock,
  provider,
  read,
  settle,
  triesOf,
  until,
} from '../outcomes/helpers.ts';
import { ManualClock } from '../support/manual-clock.ts';
import {
  apiError,
  chatAnswer,
  chatStream,
  Gate,
  pauseUntil,
  plain,
  reset,
  type Script,
  silence,
} from '../support/upstream.ts';

interface Scene {
  limits?: object;
  mode?: string;
  settings?: object;
  clock?: ManualClock;
  model?: object;
  rest?: object;
}

/** Target `a`, whose provider has limits, and then `b`, under the name `m`; `a` by itself as `alone`. */
async function scene(t: TestContext, options: Scene = {}) {
  const {
    limits = {},
    mode = 'fallback',
    settings = {},
    clock = new PacedClock(),
    model = {},
    rest = {},
  } = options;
  const a = await openUpstream(t);
  const b = await openUpstream(t);
  const config = (changed: object = limits) => ({
    providers: { a: { ...provider(a, 'key-a'), limits: changed }, b: provider(b, 'key-b') },
    models: {
      m: {
        strategy: { mode, ...model },
        targets: [
          { provider: 'a', model: 'm' },
          { provider: 'b', model: 'm' },
        ],
      },
      alone: { provider: 'a', model: 'm' },
      other: { provider: 'a', model: 'n' },
    },
    defaults: { retry: { attempts: 0, max_retry_after: '30s' }, ...settings },
    ...rest,
  });
  const gateway = await openGateway(t, config(), { clock, chance: () => 0 });
  return { a, b, gateway, clock, config };
}

const perMinute = (requests: number) => ({ requests: `${requests}/minute` });

const target = ({ headers }: { headers: Headers }) => headers.get('x-spillway-target');

for (const mode of ['fallback', 'loadbalance']) {
  describe(`A provider that is at its limit, in a ${mode}`, () => {
    it('is skipped without a try', async (t) => {
      const { a, b, gateway, clock } = await scene(t, { limits: perMinute(2), mode });
      assert.deepEqual([target(await ask(gateway)), target(await ask(gateway))], ['a/m', 'a/m']);
      for (let i = 0; i < 3; i++) {
        const seen = await ask(gateway);
        assert.equal(target(seen), 'b/m');
        assert.equal(seen.headers.get('x-spillway-attempts'), '1');
      }
      assert.equal(a.requests.length, 2);
      assert.equal(b.requests.length, 3);
      clock.advance(63_000);
      assert.equal(target(await ask(gateway)), 'a/m');
    });
  });
}

describe('A provider’s limits', () => {
  it('are of all its models together', async (t) => {
    const { gateway } = await scene(t, { limits: perMinute(2) });
    await ask(gateway, { model: 'alone' });
    await ask(gateway, { model: 'other' });
    assert.equal(target(await ask(gateway)), 'b/m');
  });

  it('count each try', async (t) => {
    const { a, gateway } = await scene(t, { limits: perMinute(3), settings: { retry: { attempts: 2 } } });
    a.enqueue(apiError(500), apiError(503));
    const seen = await ask(gateway);
    assert.equal(seen.headers.get('x-spillway-attempts'), '3');
    assert.equal(target(await ask(gateway)), 'b/m');
  });

  it('end the tries of a request that reaches one: it goes on with the next target', async (t) => {
    const { a, gateway } = await scene(t, { limits: perMinute(1), settings: { retry: { attempts: 2 } } });
    a.enqueue(apiError(500));
    assert.equal(target(await ask(gateway)), 'b/m');
    assert.deepEqual(triesOf(gateway.requests[0] as never), ['a/m server_error 500', 'b/m ok 200']);
  });

  it('are a reason to be told of: 503, when there is room again, and which', async (t) => {
    const { a, gateway } = await scene(t, { limits: perMinute(1) });
    await ask(gateway, { model: 'alone' });
    const seen = await ask(gateway, { model: 'alone' });
    assert.equal(seen.status, 503);
    assert.equal(seen.error?.code, 'no_healthy_upstream');
    assert.match(
      seen.error?.message ?? '',
      /Tried: a\/m: skipped, its provider is at its limit of 1 request per minute\./,
    );
    assert.equal(seen.headers.get('retry-after'), '63');
    assert.equal(seen.headers.get('x-should-retry'), 'false');
    assert.equal(a.requests.length, 1);
  });

  it('are a wait that an SDK understands', async (t) => {
    const { gateway } = await scene(t, {
      limits: perMinute(1),
      settings: { retry: { attempts: 0, max_retry_after: '1s' } },
    });
    const client = new OpenAI({ baseURL: gateway.url, apiKey: 'sk-of-the-client', maxRetries: 0 });
    const chat = () =>
      client.chat.completions.create({ model: 'alone', messages: [{ role: 'user', content: 'hello' }] });
    await chat();
    await assert.rejects(chat(), (error) => {
      assert.ok(error instanceof OpenAI.InternalServerError);
      assert.equal(error.status, 503);
      assert.equal(error.code, 'no_healthy_upstream');
      return true;
    });
  });

  it('are waited for when nothing else is left, if that is allowed', async (t) => {
    const { a, gateway, clock } = await scene(t, { limits: { requests: '1/second' } });
    await ask(gateway, { model: 'alone' });
    const seen = await ask(gateway, { model: 'alone' });
    assert.equal(seen.status, 200);
    assert.deepEqual((clock as PacedClock).sleeps, [1050]);
    assert.equal(a.requests.length, 2);
  });

  it('are not waited for beyond what is left of the request’s time', async (t) => {
    const { gateway, clock } = await scene(t, {
      limits: { requests: '1/second' },
      settings: { timeouts: { total: '1s' } },
      clock: new PacedClock((ms) => ms === 1050),
    });
    await ask(gateway, { model: 'alone' });
    const seen = await ask(gateway, { model: 'alone' });
    assert.equal(seen.status, 503);
    assert.equal(seen.headers.get('retry-after'), '2');
    assert.equal((clock as PacedClock).sleeps.includes(1050), false);
  });

  it('that a request never fits are never waited for, and it is told so', async (t) => {
    const { a, gateway } = await scene(t, { limits: { tokens: '100/minute' } });
    const seen = await ask(gateway, { model: 'alone', max_tokens: 200 });
    assert.equal(seen.status, 503);
    assert.match(seen.error?.message ?? '', /its provider's limit of 100 tokens per minute never admits/);
    assert.equal(seen.headers.get('x-should-retry'), 'false');
    assert.equal(seen.headers.get('retry-after'), null);
    assert.equal(a.requests.length, 0);
    assert.equal(target(await ask(gateway, { max_tokens: 200 })), 'b/m');
    assert.equal(target(await ask(gateway, { max_tokens: 50 })), 'a/m');
  });

  it('show in no usage, no metric and no list as a tenant', async (t) => {
    const { gateway } = await scene(t, { limits: perMinute(1) });
    for (let i = 0; i < 2; i++) await ask(gateway);
    const usage = await (await fetch(`${gateway.admin}/admin/usage?by=tenant`)).text();
    assert.doesNotMatch(usage + (await gateway.metrics()), /@a\b/);
  });
});

describe('A provider’s limit of tokens', () => {
  const usage = (input: number, output: number) => ({
    usage: { prompt_tokens: input, completion_tokens: output, total_tokens: input + output },
  });

  it('counts what the provider reported', async (t) => {
    // The last words of a stream are waited for.
    const clock = new ManualClock();
    const { a, gateway } = await scene(t, { limits: { tokens: '1000/minute' }, clock });
    a.enqueue(chatAnswer(usage(100, 400)), chatStream(usage(150, 290)));
    await ask(gateway, { max_tokens: 800 });
    await ask(gateway, { stream: true, max_tokens: 400 });
    assert.equal(target(await ask(gateway, { max_tokens: 61 })), 'b/m');
    assert.equal(target(await ask(gateway, { max_tokens: 40 })), 'a/m');
  });

  it('counts what was reported by a stream that came all at once', async (t) => {
    const { a, gateway } = await scene(t, { limits: { tokens: '1000/minute' }, clock: new ManualClock() });
    const chunk = (delta: object, finish: string | null) => ({
      choices: [{ index: 0, delta, finish_reason: finish }],
    });
    const events = [chunk({ content: 'Hi' }, null), chunk({}, 'stop'), { choices: [], ...usage(100, 700) }];
    const body = `${events.map((event) => `data: ${JSON.stringify(event)}\n\n`).join('')}data: [DONE]\n\n`;
    const headers = { 'content-type': 'text/event-stream' };
    a.enqueue(plain({ bytes: Buffer.from(body), headers }));
    await ask(gateway, { stream: true, max_tokens: 900 });
    assert.equal(target(await ask(gateway, { max_tokens: 300 })), 'b/m');
    assert.equal(target(await ask(gateway, { max_tokens: 150 })), 'a/m');
  });

  it('counts what passed of a stream that its client left', async (t) => {
    const { a, gateway } = await scene(t, { limits: { tokens: '1000/minute' } });
    const gate = new Gate();
    a.enqueue(chatStream({ content: ['x'.repeat(1600), pauseUntil(gate), 'more'] }));
    const left = new AbortController();
    const response = await gateway.chat({ stream: true, max_tokens: 900 }, {}, left.signal);
    await response.body?.getReader().read();
    assert.equal(target(await ask(gateway, { max_tokens: 200 })), 'b/m');
    left.abort();
    await gateway.ended(2);
    assert.equal(target(await ask(gateway, { max_tokens: 650 })), 'b/m');
    assert.equal(target(await ask(gateway, { max_tokens: 500 })), 'a/m');
  });

  it('gets the tokens back of a try that was not answered', async (t) => {
    const { a, gateway } = await scene(t, { limits: { tokens: '1000/minute' } });
    a.enqueue(apiError(500), reset());
    assert.equal(target(await ask(gateway, { max_tokens: 900 })), 'b/m');
    assert.equal(target(await ask(gateway, { max_tokens: 900 })), 'b/m');
    assert.equal(target(await ask(gateway, { max_tokens: 900 })), 'a/m');
  });
});

describe('A place among those at a time', () => {
  /** A try that has begun and does not end before the gate opens. */
  async function occupied(t: TestContext, script: (gate: Gate) => Script, body: object = {}, model = {}) {
    const parts = await scene(t, { limits: { concurrent: 1 }, clock: new ManualClock(), model });
    const gate = new Gate();
    const left = new AbortController();
    parts.a.enqueue(script(gate));
    const response = parts.gateway.chat({ model: 'alone', ...body }, {}, left.signal);
    void response.catch(() => {});
    await parts.a.waitFor(1);
    assert.equal(target(await ask(parts.gateway)), 'b/m', 'the place is not taken');
    const isFree = async () => target(await ask(parts.gateway)) === 'a/m';
    return { ...parts, gate, left, response, isFree };
  }

  const slowStream = (gate: Gate) => chatStream({ content: ['Hel', pauseUntil(gate), 'lo'] });

  it('is left when a plain answer has come', async (t) => {
    const { gate, response, isFree } = await occupied(t, (g) => [pauseUntil(g), chatAnswer()]);
    gate.open();
    await read(response);
    await until(isFree);
  });

  it('is left at the last byte of a stream, not at its first', async (t) => {
    const { gate, response, isFree } = await occupied(t, slowStream, { stream: true });
    const answer = await response;
    await settle();
    assert.equal(await isFree(), false);
    gate.open();
    await read(answer);
    await until(isFree);
  });

  it('is left when the client leaves, before the answer and within it', async (t) => {
    for (const body of [{ stream: true }, {}]) {
      const { left, response, isFree } = await occupied(
        t,
        (gate) => (body.stream === true ? slowStream(gate) : [pauseUntil(gate), chatAnswer()]),
        body,
      );
      if (body.stream === true) await response;
      left.abort();
      await until(isFree);
    }
  });

  it('is left when the try fails', async (t) => {
    const { gate, response, isFree } = await occupied(t, (g) => [pauseUntil(g), reset()]);
    gate.open();
    assert.equal((await read(response)).status, 502);
    await until(isFree);
  });

  it('is left when its stream breaks', async (t) => {
    const { gate, response, isFree } = await occupied(
      t,
      (g) => chatStream({ content: ['Hel', pauseUntil(g), reset()] }),
      { stream: true },
    );
    const answer = await response;
    gate.open();
    await read(answer);
    await until(isFree);
  });
});

it('A place is left by a hedge that loses', async (t) => {
  const { a, b, gateway, clock } = await scene(t, {
    limits: { concurrent: 1 },
    clock: new ManualClock(),
    model: { hedge: { after: '2s', max_extra: 1 } },
  });
  a.enqueue(silence());
  const asked = ask(gateway);
  await a.waitFor(1);
  await settle();
  clock.advance(2000);
  await b.waitFor(1);
  assert.equal(target(await asked), 'b/m');
  await until(async () => target(await ask(gateway)) === 'a/m');
});

describe('A new configuration', () => {
  it('changes limits without losing what was counted', async (t) => {
    const { gateway, config } = await scene(t, { limits: perMinute(2) });
    await ask(gateway);
    await ask(gateway);
    assert.equal(target(await ask(gateway)), 'b/m');
    gateway.changeConfig({ server: { heartbeat: '0' }, ...config(perMinute(3)) });
    assert.equal((await fetch(`${gateway.admin}/admin/reload`, { method: 'POST' })).status, 200);
    assert.equal(target(await ask(gateway)), 'a/m');
    assert.equal(target(await ask(gateway)), 'b/m');
  });
});
