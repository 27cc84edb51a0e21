/** Answers that are kept, through a whole gateway. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import OpenAI from 'openai';
import { systemClock } from '../../src/core/clock.ts';
import { startGateway } from '../support/gateway.ts';
import { apiError, chatAnswer, chatStream, plain, reset, startUpstream } from '../support/upstream.ts';
import { cachedGateway, counted, post, seen } from './kit.ts';

const KEEPS = { mode: 'exact', ttl: '1h' };

/** Real timers, and a date that the test moves. */
function movableClock() {
  let offset = 0;
  const clock = { ...systemClock, wall: () => systemClock.wall() + offset };
  const later = (ms: number) => {
    offset += ms;
  };
  return { clock, later };
}

describe('an answer that is kept', () => {
  it('is given again without asking anybody, and says so', async (t) => {
    const { gateway, upstream } = await cachedGateway(t);
    upstream.enqueue(chatAnswer({ content: 'first' }), chatAnswer({ content: 'second' }));
    const first = await seen(gateway.chat());
    const second = await seen(gateway.chat());
    assert.equal(first.cache, 'miss');
    assert.equal(first.age, null);
    assert.deepEqual(second, {
      status: 200,
      cache: 'hit',
      age: '0',
      cost: '0',
      target: 'a/up',
      attempts: '0',
      text: first.text,
    });
    assert.match(first.text, /first/);
    assert.equal(upstream.requests.length, 1);
  });

  it('has the id of its own request and the type of its answer', async (t) => {
    const { gateway } = await cachedGateway(t);
    await seen(gateway.chat({}, { 'x-request-id': 'one' }));
    const again = await gateway.chat({}, { 'x-request-id': 'two' });
    assert.equal(again.headers.get('x-request-id'), 'two');
    assert.match(again.headers.get('content-type') ?? '', /^application\/json/);
    await again.text();
  });

  it('is given as a stream where it came as one, byte for byte, and the SDK reads it', async (t) => {
    const { gateway, upstream } = await cachedGateway(t);
    upstream.enqueue(chatStream({ content: ['Hel', 'lo'] }));
    const first = await seen(gateway.chat({ stream: true }));
    const again = await gateway.chat({ stream: true });
    assert.equal(again.headers.get('content-type'), 'text/event-stream; charset=utf-8');
    assert.equal(again.headers.get('x-spillway-cache'), 'hit');
    assert.equal(await again.text(), first.text);
    const client = new OpenAI({ baseURL: gateway.url, apiKey: 'none', maxRetries: 0 });
    const messages = [{ role: 'user' as const, content: 'hello' }];
    let text = '';
    for await (const chunk of await client.chat.completions.create({ model: 'm', messages, stream: true })) {
      text += chunk.choices[0]?.delta.content ?? '';
    }
    assert.equal(text, 'Hello');
    assert.equal(upstream.requests.length, 1);
    assert.equal((await gateway.ended(3))[2]?.first_token_ms !== null, true);
  });

  it('is another one for a stream, for its usage, and for whatever else is asked', async (t) => {
    const { gateway, upstream } = await cachedGateway(t);
    const bodies = [
      {},
      { stream: true },
      { stream: true, stream_options: { include_usage: true } },
      { seed: 1 },
    ];
    for (const body of bodies) assert.equal((await seen(gateway.chat(body))).cache, 'miss');
    for (const body of bodies) assert.equal((await seen(gateway.chat(body))).cache, 'hit');
    assert.equal(upstream.requests.length, 4);
  });

  it('is found in whatever order its request is written, with another id and time', async (t) => {
    const { gateway, upstream } = await cachedGateway(t);
    const messages = [{ role: 'user', content: 'hello' }];
    await seen(gateway.chat({ temperature: 1, request_id: 'r1', metadata: { team: 'x', trace_id: 't1' } }));
    const body = `{ "metadata": {"trace_id":"t2","team":"x"}, "temperature": 1.0,\n"messages":${JSON.stringify(messages)},"model":"m","request_id":"r2"}`;
    const again = await fetch(`${gateway.url}/chat/completions`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body,
    });
    assert.equal((await seen(again)).cache, 'hit');
    assert.equal(upstream.requests.length, 1);
  });

  it('is found under an alias', async (t) => {
    const { gateway } = await cachedGateway(t, { aliases: { other: 'm' } });
    await seen(gateway.chat());
    assert.equal((await seen(gateway.chat({ model: 'other' }))).cache, 'hit');
  });

  it('grows old, and is forgotten when its time is over', async (t) => {
    const { clock, later } = movableClock();
    const { gateway, upstream } = await cachedGateway(t, {}, { clock });
    await seen(gateway.chat());
    later(1_234_000);
    const old = await seen(gateway.chat());
    assert.deepEqual([old.cache, old.age], ['hit', '1234']);
    later(3_600_000 - 1_234_000);
    assert.equal((await seen(gateway.chat())).cache, 'miss');
    assert.equal(upstream.requests.length, 2);
  });

  it('is counted as a request and no tokens, and its line names who had answered', async (t) => {
    const { gateway } = await cachedGateway(t, {
      auth: 'keys',
      tenants: [
        {
          id: 'acme',
          keys: [{ id: 'ci', key: 'sk-acme' }],
          quotas: [
            { limit: 3, of: 'requests', per: 'hour' },
            { limit: 100_000, of: 'tokens', per: 'hour' },
          ],
        },
      ],
    });
    const headers = { authorization: 'Bearer sk-acme' };
    for (const expected of ['miss', 'hit', 'hit']) {
      assert.equal((await seen(gateway.chat({}, headers))).cache, expected);
    }
    assert.equal((await seen(gateway.chat({}, headers))).status, 429);
    const usage = (await (await fetch(`${gateway.url}/usage`, { headers })).json()) as {
      quotas: { of: string; used: number; reserved: number }[];
    };
    assert.deepEqual(
      usage.quotas.map(({ of, used, reserved }) => [of, used, reserved]),
      [
        ['requests', 3, 0],
        ['tokens', 21, 0],
      ],
    );
    const lines = await gateway.ended(4);
    const [miss, hit] = lines as ((typeof lines)[number] & { cache?: string })[];
    assert.equal(miss?.cache, 'miss');
    assert.deepEqual(
      [hit?.cache, hit?.target, hit?.status, hit?.outcome, hit?.tries, hit?.tokens, hit?.cost_usd],
      ['hit', 'a/up', 200, 'ok', [], null, null],
    );
    assert.equal(await gateway.metric('spillway_cache_requests_total{model="m",result="hit"}'), 2);
    assert.equal(await gateway.metric('spillway_cache_requests_total{model="m",result="miss"}'), 1);
    assert.equal(await gateway.metric('spillway_attempts_total{provider="a",model="up",outcome="ok"}'), 1);
  });

  it('leaves what there is to the quotas of the one who is given it', async (t) => {
    const { gateway } = await cachedGateway(t, {
      auth: 'keys',
      tenants: ['acme', 'globex'].map((id) => ({
        id,
        keys: [{ id: 'k', key: `sk-${id}` }],
        quotas: [{ limit: id === 'acme' ? 10 : 20, of: 'requests', per: 'hour' }],
      })),
      models: { m: { provider: 'a', model: 'up', cache: { ...KEEPS, shared: true } } },
    });
    await seen(gateway.chat({}, { authorization: 'Bearer sk-acme' }));
    const other = await gateway.chat({}, { authorization: 'Bearer sk-globex' });
    assert.equal(other.headers.get('x-spillway-cache'), 'hit');
    assert.equal(other.headers.get('x-ratelimit-remaining-requests'), '19');
    await other.text();
  });
});

describe('whose answers they are', () => {
  const auth = (id: string) => ({ authorization: `Bearer sk-${id}` });
  const tenants = ['acme', 'globex'].map((id) => ({ id, keys: [{ id: 'k', key: `sk-${id}` }] }));

  it('a tenant is given no other one’s', async (t) => {
    const { gateway, upstream } = await cachedGateway(t, { auth: 'keys', tenants });
    await seen(gateway.chat({}, auth('acme')));
    assert.equal((await seen(gateway.chat({}, auth('globex')))).cache, 'miss');
    assert.equal((await seen(gateway.chat({}, auth('acme')))).cache, 'hit');
    assert.equal(upstream.requests.length, 2);
  });

  it('unless they are shared', async (t) => {
    const models = { m: { provider: 'a', model: 'up', cache: { ...KEEPS, shared: true } } };
    const { gateway, upstream } = await cachedGateway(t, { auth: 'keys', tenants, models });
    await seen(gateway.chat({}, auth('acme')));
    assert.equal((await seen(gateway.chat({}, auth('globex')))).cache, 'hit');
    assert.equal(upstream.requests.length, 1);
  });

  it('where conditions send tenants to different targets, each is given what its own would say', async (t) => {
    const models = {
      m: {
        cache: { ...KEEPS, shared: true },
        strategy: {
          mode: 'conditional',
          conditions: JSON.parse('[{ "query": { "tenant.id": { "$eq": "acme" } }, "then": "one" }]'),
          default: 'two',
        },
        targets: [
          { name: 'one', provider: 'a', model: 'one' },
          { name: 'two', provider: 'a', model: 'two' },
        ],
      },
    };
    const { gateway } = await cachedGateway(t, { auth: 'keys', tenants, models });
    await seen(gateway.chat({}, auth('acme')));
    const other = await seen(gateway.chat({}, auth('globex')));
    assert.deepEqual([other.cache, other.target], ['miss', 'a/two']);
    const again = await seen(gateway.chat({}, auth('acme')));
    assert.deepEqual([again.cache, again.target], ['hit', 'a/one']);
  });
});

describe('what is not kept', () => {
  it('errors', async (t) => {
    const { gateway, upstream } = await cachedGateway(t, { defaults: { retry: { attempts: 0 } } });
    upstream.enqueue(apiError(400), apiError(503));
    assert.deepEqual(
      [await seen(gateway.chat()), await seen(gateway.chat()), await seen(gateway.chat())].map((one) => [
        one.status,
        one.cache,
      ]),
      [
        [400, 'miss'],
        [503, 'miss'],
        [200, 'miss'],
      ],
    );
  });

  it('streams that broke', async (t) => {
    const { gateway, upstream } = await cachedGateway(t);
    upstream.enqueue(chatStream({ content: ['Hel', reset()] }));
    const broken = await seen(gateway.chat({ stream: true }));
    assert.match(broken.text, /stream_interrupted/);
    const whole = await seen(gateway.chat({ stream: true }));
    assert.equal(whole.cache, 'miss');
    assert.match(whole.text, /\[DONE\]/);
  });

  it('answers that are too long, which are passed on all the same', async (t) => {
    const { gateway, upstream } = await cachedGateway(t);
    const long = 'x'.repeat(1024 * 1024);
    upstream.enqueue(chatAnswer({ content: long }), chatAnswer({ content: long }));
    assert.ok((await seen(gateway.chat())).text.includes(long));
    assert.equal((await seen(gateway.chat())).cache, 'miss');
    const pieces = Array.from({ length: 40 }, () => 'x'.repeat(32 * 1024));
    upstream.enqueue(chatStream({ content: pieces }), chatStream({ content: pieces }));
    const stream = await seen(gateway.chat({ stream: true }));
    assert.ok(stream.text.length > 40 * 32 * 1024 && stream.text.endsWith('data: [DONE]\n\n'));
    assert.equal((await seen(gateway.chat({ stream: true }))).cache, 'miss');
  });

  it('what a node below says is not to be, while its neighbour keeps', async (t) => {
    const models = {
      m: {
        cache: KEEPS,
        strategy: { mode: 'fallback' },
        retry: { attempts: 0 },
        targets: [
          { provider: 'a', model: 'one', cache: { mode: 'none' } },
          { provider: 'a', model: 'two' },
        ],
      },
    };
    const { gateway, upstream } = await cachedGateway(t, { models });
    await seen(gateway.chat());
    assert.equal((await seen(gateway.chat())).cache, 'miss');
    upstream.enqueue(apiError(503), chatAnswer());
    await seen(gateway.chat());
    const hit = await seen(gateway.chat());
    assert.deepEqual([hit.cache, hit.target], ['hit', 'a/two']);
  });

  it('what a node without a cache answers, and no header says anything of one', async (t) => {
    const { gateway } = await cachedGateway(t, { models: { m: { provider: 'a', model: 'up' } } });
    assert.equal((await seen(gateway.chat())).cache, null);
    assert.equal((await seen(gateway.chat())).cache, null);
    const [line] = (await gateway.ended(2)) as { cache?: string }[];
    assert.equal(line?.cache, undefined);
  });

  it('what goes on with something that the host keeps and changes', async (t) => {
    const rig = await cachedGateway(t);
    rig.upstream.reply(() => plain({ json: responseOf('hi') }));
    const body = { model: 'm', input: 'hi', conversation: 'conv_1' };
    for (let i = 0; i < 2; i++) assert.equal((await seen(post(rig, '/responses', body))).cache, null);
    assert.equal(rig.upstream.requests.length, 2);
  });

  it('what begins a thread, which is another one each time', async (t) => {
    const rig = await cachedGateway(t);
    const asked = { model: 'm', messages: [{ role: 'user', content: 'hi' }], thread: { type: 'create' } };
    for (let i = 0; i < 2; i++) assert.equal((await seen(post(rig, '/chat/completions', asked))).cache, null);
    assert.equal(rig.upstream.requests.length, 2);
  });
});

describe('a node that keeps answers within a tree', () => {
  it('is looked at when it is reached, and answers after what failed before it', async (t) => {
    const models = {
      m: {
        strategy: { mode: 'fallback' },
        retry: { attempts: 0 },
        targets: [
          { provider: 'a', model: 'one' },
          { provider: 'a', model: 'two', cache: KEEPS },
        ],
      },
    };
    const { gateway, upstream } = await cachedGateway(t, { models });
    const plainly = await seen(gateway.chat());
    assert.deepEqual([plainly.cache, plainly.target], [null, 'a/one']);
    upstream.enqueue(apiError(503), chatAnswer({ content: 'kept' }), apiError(503));
    await seen(gateway.chat());
    const hit = await seen(gateway.chat());
    assert.deepEqual([hit.cache, hit.target, hit.attempts], ['hit', 'a/two', '1']);
    assert.match(hit.text, /kept/);
    assert.equal(upstream.requests.length, 4);
  });

  it('two of them keep their own', async (t) => {
    const models = {
      m: {
        strategy: { mode: 'fallback' },
        retry: { attempts: 0 },
        targets: [
          { provider: 'a', model: 'one', cache: KEEPS },
          { provider: 'a', model: 'two', cache: KEEPS },
        ],
      },
    };
    const { gateway, upstream } = await cachedGateway(t, { models });
    upstream.enqueue(apiError(503), chatAnswer());
    assert.equal((await seen(gateway.chat())).target, 'a/two');
    upstream.enqueue(apiError(503));
    const second = await seen(gateway.chat());
    assert.deepEqual([second.cache, second.target], ['hit', 'a/two']);
    await seen(gateway.chat());
    const first = await seen(gateway.chat());
    assert.deepEqual([first.cache, first.target], ['hit', 'a/one']);
  });
});

describe('a reload', () => {
  it('that changes what a target is sent makes answers of before unfit; one that does not leaves them', async (t) => {
    const upstream = await startUpstream();
    t.after(() => upstream.close());
    const config = (params: object, more: object = {}) => ({
      providers: { a: { adapter: 'openai', base_url: upstream.url, api_key: 'sk-a' } },
      models: { m: { provider: 'a', model: 'up', cache: KEEPS, override_params: params } },
      ...more,
    });
    const gateway = await startGateway(config({ top_p: 1 }));
    t.after(() => gateway.close());
    await seen(gateway.chat());
    gateway.changeConfig(config({ top_p: 1 }, { log: { level: 'warn' } }));
    assert.deepEqual(await gateway.app.reload(), { ok: true });
    assert.equal((await seen(gateway.chat())).cache, 'hit');
    gateway.changeConfig(config({ top_p: 0.5 }));
    assert.deepEqual(await gateway.app.reload(), { ok: true });
    assert.equal((await seen(gateway.chat())).cache, 'miss');
    gateway.changeConfig(config({ top_p: 1 }));
    await gateway.app.reload();
    assert.equal((await seen(gateway.chat())).cache, 'hit');
  });
});

describe('what a client says of caches', () => {
  const chat = async (rig: Awaited<ReturnType<typeof cachedGateway>>, control: string) =>
    (await seen(rig.gateway.chat({}, { 'cache-control': control }))).cache;

  it('no-cache: the answer is a new one, and takes the place of the old', async (t) => {
    const rig = await cachedGateway(t);
    rig.upstream.enqueue(chatAnswer({ content: 'old' }), chatAnswer({ content: 'new' }));
    await seen(rig.gateway.chat());
    assert.equal(await chat(rig, 'no-cache'), 'miss');
    const third = await seen(rig.gateway.chat());
    assert.equal(third.cache, 'hit');
    assert.match(third.text, /new/);
  });

  it('no-store: neither is one looked for, nor is this one kept', async (t) => {
    const rig = await cachedGateway(t);
    assert.equal(await chat(rig, 'no-store'), 'miss');
    assert.equal(await chat(rig, ''), 'miss');
    assert.equal(await chat(rig, 'max-age=5, No-Store'), 'miss');
    assert.equal(await chat(rig, ''), 'hit');
    assert.equal(rig.upstream.requests.length, 3);
  });

  it('max-age: an older one will not do', async (t) => {
    const { clock, later } = movableClock();
    const rig = await cachedGateway(t, {}, { clock });
    await seen(rig.gateway.chat());
    later(10_000);
    assert.equal(await chat(rig, 'max-age=20'), 'hit');
    assert.equal(await chat(rig, 'max-age=9'), 'miss');
    assert.equal(await chat(rig, 'max-age=9'), 'hit');
    assert.equal(await chat(rig, 'max-age=0'), 'miss');
  });

  it('anything else is passed over', async (t) => {
    const rig = await cachedGateway(t);
    await seen(rig.gateway.chat());
    for (const control of ['max-age=x', 'public', 'no-cachet, x-no-store', 'max-age=-1']) {
      assert.equal(await chat(rig, control), 'hit', control);
    }
  });
});

describe('in every dialect', () => {
  it('messages, plain and streamed, from a host that speaks them in chat', async (t) => {
    const rig = await cachedGateway(t);
    const body = { model: 'm', max_tokens: 10, messages: [{ role: 'user', content: 'hello' }] };
    for (const stream of [false, true]) {
      const first = await seen(post(rig, '/messages', { ...body, stream }));
      const again = await seen(post(rig, '/messages', { ...body, stream }));
      assert.deepEqual([first.cache, again.cache], ['miss', 'hit']);
      assert.equal(again.text, first.text);
      assert.match(first.text, stream ? /message_stop/ : /"type":"message"/);
    }
    const beta = await seen(post(rig, '/messages', body, { 'anthropic-beta': 'something' }));
    assert.equal(beta.cache, 'miss');
  });

  it('responses, and a chat with the same words is another request', async (t) => {
    const rig = await cachedGateway(t);
    rig.upstream.reply(() => plain({ json: responseOf('hi') }));
    const body = { model: 'm', input: 'hello' };
    const first = await seen(post(rig, '/responses', body));
    const again = await seen(post(rig, '/responses', body));
    assert.deepEqual([first.cache, again.cache, again.text], ['miss', 'hit', first.text]);
  });

  it('embeddings', async (t) => {
    const rig = await cachedGateway(t);
    rig.upstream.reply(() =>
      plain({
        json: {
          object: 'list',
          model: 'up',
          data: [{ object: 'embedding', index: 0, embedding: [0.25, -1] }],
          usage: { prompt_tokens: 3, total_tokens: 3 },
        },
      }),
    );
    const body = { model: 'm', input: 'hello' };
    const first = await seen(post(rig, '/embeddings', body));
    const again = await seen(post(rig, '/embeddings', body));
    assert.deepEqual([first.status, first.cache, again.cache, again.text], [200, 'miss', 'hit', first.text]);
    assert.equal(rig.upstream.requests.length, 1);
  });

  it('but not how many tokens there are', async (t) => {
    const rig = await cachedGateway(t);
    const body = { model: 'm', messages: [{ role: 'user', content: 'hello' }] };
    for (let i = 0; i < 2; i++) {
      const counted = await seen(post(rig, '/messages/count_tokens', body));
      assert.deepEqual([counted.status, counted.cache], [200, null]);
    }
  });
});

function responseOf(text: string) {
  return {
    id: 'resp_1',
    object: 'response',
    created_at: 1,
    status: 'completed',
    model: 'up',
    output: [
      {
        type: 'message',
        id: 'msg_1',
        role: 'assistant',
        status: 'completed',
        content: [{ type: 'output_text', text, annotations: [] }],
      },
    ],
    usage: { input_tokens: 3, output_tokens: 1, total_tokens: 4 },
  };
}

it('what is kept goes into the log only where bodies do', async (t) => {
  const { gateway } = await cachedGateway(t, { log: { request_bodies: true } });
  await seen(gateway.chat());
  await seen(gateway.chat());
  const lines = (await gateway.ended(2)) as { answer?: string }[];
  assert.equal(lines[1]?.answer, lines[0]?.answer);
  assert.match(lines[1]?.answer ?? '', /Hello from upstream/);
  assert.deepEqual(counted(gateway.requests.map(({ outcome }) => outcome)), { ok: 2 });
});
