/** `Idempotency-Key` through a whole gateway that keeps everything in its process. */
import assert from 'node:assert/strict';
import { describe, it, type TestContext } from 'node:test';
import Anthropic from '@anthropic-ai/sdk';
import OpenAI from 'openai';
import { sdk } from '../sdk/through.ts';
import { errorIn } from '../server/helpers.ts';
import { startGateway, type TestGateway } from '../support/gateway.ts';
import { ManualClock } from '../support/manual-clock.ts';
import { turns, until } from '../support/rig.ts';
import {
  apiError,
  chatAnswer,
  chatStream,
  close,
  Gate,
  pauseUntil,
  plain,
  silence,
  startUpstream,
  type Upstream,
} from '../support/upstream.ts';

interface Scene {
  gateway: TestGateway;
  upstream: Upstream;
  clock: ManualClock;
}

async function scene(t: TestContext, config: object = {}): Promise<Scene> {
  const clock = new ManualClock(1000);
  const upstream = await startUpstream();
  const gateway = await startGateway(
    {
      server: { heartbeat: '0' },
      providers: { a: { adapter: 'openai', base_url: upstream.url, api_key: 'sk-of-the-gateway' } },
      models: { m: { provider: 'a', model: 'up', retry: { attempts: 0 }, timeouts: { total: '60s' } } },
      ...config,
    },
    { clock },
  );
  t.after(async () => {
    await gateway.close();
    await upstream.close();
  });
  return { gateway, upstream, clock };
}

const KEY = { 'idempotency-key': 'order-4711' };

/** What of an answer is the same when it is given again. */
async function same(response: Response) {
  const headers = Object.fromEntries(response.headers);
  for (const name of [
    'x-request-id',
    'request-id',
    'date',
    'x-spillway-replayed',
    'content-length',
    'transfer-encoding',
  ]) {
    delete headers[name];
  }
  return { status: response.status, headers, text: await response.text() };
}

describe('an answer is given again', () => {
  it('as it was, without asking anybody, without tokens and money, and says so to client and log', async (t) => {
    const { gateway, upstream } = await scene(t);
    const first = await gateway.chat({}, KEY);
    const second = await gateway.chat({}, KEY);
    assert.equal(first.headers.get('x-spillway-replayed'), null);
    assert.equal(second.headers.get('x-spillway-replayed'), 'true');
    assert.notEqual(second.headers.get('x-request-id'), first.headers.get('x-request-id'));
    assert.equal(second.headers.get('x-spillway-target'), 'a/up');
    assert.ok(second.headers.get('x-spillway-cost'));
    assert.deepEqual(await same(second), await same(first));
    assert.equal(upstream.requests.length, 1);
    const [one, two] = await gateway.ended(2);
    assert.equal((one as unknown as Record<string, unknown>)['replayed'], undefined);
    assert.deepEqual(
      { ...two, id: null, ms: null, gateway_ms: null, time: null },
      {
        level: 30,
        time: null,
        msg: 'request',
        id: null,
        tenant: 'anonymous',
        key: two?.key,
        model: 'm',
        target: 'a/up',
        status: 200,
        outcome: 'ok',
        stream: false,
        tries: [],
        first_token_ms: null,
        ms: null,
        gateway_ms: null,
        tokens: null,
        cost_usd: null,
        replayed: true,
      },
    );
  });

  it('as a stream, event by event', async (t) => {
    const { gateway, upstream } = await scene(t);
    const asked = { stream: true, stream_options: { include_usage: true } };
    const first = await same(await gateway.chat(asked, KEY));
    const response = await gateway.chat(asked, KEY);
    assert.equal(response.headers.get('x-spillway-replayed'), 'true');
    const second = await same(response);
    assert.deepEqual(second, first);
    assert.match(second.text, /"usage":\{/);
    assert.match(second.text, /data: \[DONE\]\n\n$/);
    assert.match(String(second.headers['content-type']), /^text\/event-stream/);
    assert.equal(upstream.requests.length, 1);
  });

  for (const [path, body] of Object.entries({
    '/v1/messages': { max_tokens: 5, messages: [{ role: 'user', content: 'hello' }] },
    '/v1/responses': { input: 'hello' },
    '/v1/embeddings': { input: 'hello' },
    '/v1/messages/count_tokens': { messages: [{ role: 'user', content: 'hello' }] },
  })) {
    it(`at ${path}, too`, async (t) => {
      const { gateway, upstream } = await scene(t);
      upstream.reply(({ path: asked }) =>
        asked.endsWith('/embeddings')
          ? plain({
              json: {
                object: 'list',
                model: 'up',
                data: [{ object: 'embedding', index: 0, embedding: [0.5] }],
                usage: { prompt_tokens: 1, total_tokens: 1 },
              },
            })
          : asked.endsWith('/responses')
            ? apiError(404)
            : chatAnswer(),
      );
      const ask = () =>
        fetch(gateway.origin + path, {
          method: 'POST',
          headers: KEY,
          body: JSON.stringify({ model: 'm', ...body }),
        });
      const first = await ask();
      const before = upstream.requests.length;
      const second = await ask();
      assert.deepEqual(
        [first.status, second.status, second.headers.get('x-spillway-replayed')],
        [200, 200, 'true'],
      );
      assert.deepEqual(await same(second), await same(first));
      assert.equal(upstream.requests.length, before);
    });
  }

  it('to the official SDKs', async (t) => {
    const { gateway, upstream } = await scene(t);
    const openai = sdk(gateway);
    const asked = { model: 'm', messages: [{ role: 'user' as const, content: 'hi' }] };
    const one = await openai.chat.completions.create(asked, { headers: KEY });
    const two = await openai.chat.completions.create(asked, { headers: KEY });
    assert.deepEqual(two, one);
    const contents = async () => {
      const headers = { 'Idempotency-Key': 'stream' };
      const stream = await openai.chat.completions.create({ ...asked, stream: true }, { headers });
      let text = '';
      for await (const chunk of stream) text += chunk.choices[0]?.delta.content ?? '';
      return text;
    };
    const text = await contents();
    assert.ok(text.length > 0);
    assert.equal(await contents(), text);

    const anthropic = new Anthropic({ baseURL: gateway.origin, apiKey: 'sk-of-the-client', maxRetries: 0 });
    const message = () =>
      anthropic.messages
        .stream(
          { model: 'm', max_tokens: 9, messages: [{ role: 'user', content: 'hi' }] },
          { headers: { 'Idempotency-Key': 'message' } },
        )
        .finalMessage();
    const first = await message();
    assert.deepEqual((await message()).content, first.content);
    assert.equal(upstream.requests.length, 3);
  });

  it("of the client's own fault, too; all others are tried anew", async (t) => {
    const { gateway, upstream } = await scene(t);
    upstream.enqueue(
      apiError(400, { message: 'what is this', code: 'nonsense' }),
      apiError(500),
      chatAnswer(),
    );
    const [one, two] = [await gateway.chat({}, KEY), await gateway.chat({}, KEY)];
    assert.deepEqual([one.status, two.status, upstream.requests.length], [400, 400, 1]);
    assert.equal(two.headers.get('x-spillway-replayed'), 'true');
    assert.equal(errorIn(await two.text()).code, 'nonsense');
    const other = { 'idempotency-key': 'other' };
    assert.equal((await gateway.chat({}, other)).status, 502);
    assert.equal((await gateway.chat({}, other)).status, 200);
  });

  it('for `ttl`, and not for longer', async (t) => {
    const { gateway, upstream, clock } = await scene(t, { idempotency: { ttl: '10m' } });
    await gateway.chat({}, KEY);
    clock.advance(599_000);
    assert.equal((await gateway.chat({}, KEY)).headers.get('x-spillway-replayed'), 'true');
    clock.advance(1_000);
    assert.equal((await gateway.chat({}, KEY)).headers.get('x-spillway-replayed'), null);
    assert.equal(upstream.requests.length, 2);
  });

  it('only up to `max_body`', async (t) => {
    const { gateway, upstream } = await scene(t, { idempotency: { max_body: '2kb' } });
    upstream.reply((request) => {
      const long = JSON.stringify(request.json()).includes('long');
      return chatAnswer({ content: 'x'.repeat(long ? 3000 : 100) });
    });
    const ask = (content: string) =>
      gateway.chat({ messages: [{ role: 'user', content }] }, { 'idempotency-key': content });
    const answers = [];
    for (const content of ['long', 'long', 'short', 'short']) {
      answers.push((await ask(content)).headers.get('x-spillway-replayed'));
    }
    assert.deepEqual(answers, [null, null, null, 'true']);
    assert.equal(upstream.requests.length, 3);
  });
});

describe('a stream that did not come to its end is not given again:', () => {
  it('one that broke', async (t) => {
    const { gateway, upstream } = await scene(t);
    upstream.enqueue(chatStream({ content: ['Hel', close()], finish: null }), chatStream());
    const first = await (await gateway.chat({ stream: true }, KEY)).text();
    assert.match(first, /stream_interrupted/);
    const second = await gateway.chat({ stream: true }, KEY);
    assert.equal(second.headers.get('x-spillway-replayed'), null);
    assert.match(await second.text(), /\[DONE\]/);
  });

  it('one whose client left, which frees the key at once for who waits', async (t) => {
    const { gateway, upstream, clock } = await scene(t);
    const gate = new Gate();
    upstream.enqueue(chatStream({ content: ['Hel', pauseUntil(gate), 'lo'] }), chatStream());
    const leaving = new AbortController();
    const first = await gateway.chat({ stream: true }, KEY, leaving.signal);
    const second = gateway.chat({ stream: true }, KEY);
    await until(() => clock.pending > 0);
    await turns(50);
    assert.equal(upstream.requests.length, 1);
    leaving.abort();
    await assert.rejects(first.text());
    const response = await second;
    assert.equal(response.headers.get('x-spillway-replayed'), null);
    assert.match(await response.text(), /\[DONE\]/);
    assert.equal(upstream.requests.length, 2);
    gate.open();
  });
});

it('a resumable stream whose client left goes on, and is given again whole', async (t) => {
  const { gateway, upstream } = await scene(t);
  const gate = new Gate();
  upstream.enqueue(chatStream({ content: ['Hel', pauseUntil(gate), 'lo'] }));
  const leaving = new AbortController();
  const resumable = { ...KEY, 'x-spillway-resume': 'true' };
  const first = await gateway.chat({ stream: true }, resumable, leaving.signal);
  await gate.reached();
  leaving.abort();
  await assert.rejects(first.text());
  gate.open();
  await gateway.ended(1);
  const second = await gateway.chat({ stream: true }, KEY);
  const text = await second.text();
  assert.equal(second.headers.get('x-spillway-replayed'), 'true');
  assert.match(text, /Hel[\s\S]*lo[\s\S]*\[DONE\]/);
  assert.ok(!/^id:/m.test(text), 'ids are for those who asked for them');
  assert.equal(upstream.requests.length, 1);
});

describe('requests that come at the same time with the same key', () => {
  it('are one: the others wait, and are given its answer', async (t) => {
    const { gateway, upstream } = await scene(t);
    const gate = new Gate();
    upstream.reply(() => [pauseUntil(gate), chatAnswer()]);
    const all = Array.from({ length: 20 }, () => gateway.chat({}, KEY));
    await gate.reached();
    await turns();
    gate.open();
    const answers = await Promise.all(all);
    const texts = new Set(await Promise.all(answers.map((response) => response.text())));
    assert.equal(texts.size, 1);
    assert.equal(answers.filter(({ headers }) => headers.get('x-spillway-replayed') === 'true').length, 19);
    assert.equal(upstream.requests.length, 1);
    assert.equal((await gateway.ended(20)).filter(({ tokens }) => tokens !== null).length, 1);
  });

  it('wait no longer than a request may take: then they are told to come again', async (t) => {
    const { gateway, upstream, clock } = await scene(t);
    const gate = new Gate();
    upstream.reply((request) =>
      request.json()['stream'] === true
        ? chatStream({ content: ['Hel', pauseUntil(gate), 'lo'] })
        : chatAnswer(),
    );
    const first = await gateway.chat({ stream: true }, KEY);
    const second = gateway.chat({ stream: true }, KEY);
    const before = clock.pending;
    await until(() => clock.pending > before);
    await turns(50);
    clock.advance(60_000);
    const refused = await second;
    assert.equal(refused.status, 409);
    assert.equal(refused.headers.get('retry-after'), '1');
    assert.equal(errorIn(await refused.text()).code, 'idempotency_key_in_use');
    gate.open();
    await first.text();
  });

  it('have their whole time when they run after all, though the first has used up its own', async (t) => {
    const { gateway, upstream, clock } = await scene(t);
    const gate = new Gate();
    upstream.enqueue(silence());
    upstream.reply(() => [pauseUntil(gate), chatAnswer()]);
    const first = gateway.chat({}, KEY);
    await upstream.waitFor(1);
    await clock.advanceAsync(100);
    const before = clock.pending;
    const second = gateway.chat({}, KEY);
    await until(() => clock.pending > before);
    clock.advance(59_900);
    assert.equal((await first).status, 504);
    await gate.reached();
    await clock.advanceAsync(30_000);
    gate.open();
    assert.equal((await second).status, 200);
    assert.equal(upstream.requests.length, 2);
  });

  it('that wait are told so when the gateway ends', async (t) => {
    const { gateway, upstream, clock } = await scene(t, {
      server: { heartbeat: '0', drain_timeout: '5s' },
    });
    const gate = new Gate();
    upstream.reply(() => [pauseUntil(gate), chatAnswer()]);
    const first = gateway.chat({}, KEY);
    await gate.reached();
    const second = gateway.chat({}, KEY);
    await turns(100);
    const drained = gateway.app.drain();
    await turns(50);
    clock.advance(5_000);
    for (const response of await Promise.all([first, second])) {
      assert.equal(response.status, 503);
      assert.equal(errorIn(await response.text()).code, 'server_shutting_down');
    }
    await turns(50);
    clock.advance(1_000);
    await drained;
    assert.equal(upstream.requests.length, 1);
  });
});

describe('the key', () => {
  it('is refused where it can be none, by name, before anything is sent', async (t) => {
    const { gateway, upstream } = await scene(t);
    for (const key of ['', 'x'.repeat(256), 'é']) {
      const response = await gateway.chat({}, { 'idempotency-key': key });
      assert.equal(response.status, 400);
      const error = errorIn(await response.text());
      assert.match(error.message, /Idempotency-Key/);
      assert.equal(error.code, 'invalid_value');
    }
    assert.equal(upstream.requests.length, 0);
  });

  it('is refused for another request: another body, another path', async (t) => {
    const { gateway, upstream } = await scene(t);
    await gateway.chat({}, KEY);
    const other = await gateway.chat({ temperature: 0 }, KEY);
    assert.equal(other.status, 422);
    assert.equal(other.headers.get('x-should-retry'), 'false');
    assert.equal(errorIn(await other.text()).code, 'idempotency_key_reused');
    const text = JSON.stringify({
      model: 'm',
      max_tokens: 9,
      messages: [{ role: 'user', content: 'hello' }],
    });
    const at = (path: string) =>
      fetch(gateway.origin + path, { method: 'POST', headers: { 'idempotency-key': 'k' }, body: text });
    assert.equal((await at('/v1/chat/completions')).status, 200);
    const elsewhere = await at('/v1/messages');
    assert.equal(elsewhere.status, 422);
    assert.equal(((await elsewhere.json()) as { type: string }).type, 'error');
    assert.equal(upstream.requests.length, 2);
    await assert.rejects(
      sdk(gateway).chat.completions.create(
        { model: 'm', messages: [{ role: 'user', content: 'another' }] },
        { headers: KEY },
      ),
      OpenAI.UnprocessableEntityError,
    );
  });

  it('does not go to the provider', async (t) => {
    const { gateway, upstream } = await scene(t);
    await gateway.chat({}, KEY);
    const [request] = upstream.requests;
    assert.ok(!JSON.stringify(request?.headers).includes('order-4711'));
  });
});

describe('quotas', () => {
  const tenants = (limit: number) =>
    ['acme', 'globex'].map((id) => ({
      id,
      keys: [{ id: 'k', key: `sw-the-key-of-${id}` }],
      quotas: [{ limit, of: 'requests', per: 'hour' }],
    }));
  const of = (tenant: string) => ({ ...KEY, authorization: `Bearer sw-the-key-of-${tenant}` });

  it('count what ran, and nothing of what was given again; and each tenant has its own keys', async (t) => {
    const { gateway, upstream } = await scene(t, { auth: 'keys', tenants: tenants(1) });
    for (let i = 0; i < 5; i++) assert.equal((await gateway.chat({}, of('acme'))).status, 200);
    const usage = await fetch(`${gateway.url}/usage`, { headers: of('acme') });
    const { quotas } = (await usage.json()) as { quotas: { used: number }[] };
    assert.deepEqual(
      quotas.map(({ used }) => used),
      [1],
    );
    const other = await gateway.chat({}, of('globex'));
    assert.deepEqual([other.status, other.headers.get('x-spillway-replayed')], [200, null]);
    assert.equal(upstream.requests.length, 2);
  });

  it('that refuse a request leave its key free', async (t) => {
    const { gateway, clock } = await scene(t, { auth: 'keys', tenants: tenants(1) });
    await gateway.chat({}, { ...of('acme'), 'idempotency-key': 'one' });
    const refused = await gateway.chat({}, of('acme'));
    assert.equal(refused.status, 429);
    assert.equal(refused.headers.get('x-spillway-replayed'), null);
    const [, line] = await gateway.ended(2);
    assert.equal(line?.quota, 'tenant/requests/hour');
    clock.advance(2 * 3_600_000);
    assert.equal((await gateway.chat({}, of('acme'))).status, 200);
  });

  it('are of no matter to who is unknown: nothing is given to them', async (t) => {
    const { gateway } = await scene(t, { auth: 'keys', tenants: tenants(1) });
    await gateway.chat({}, of('acme'));
    const stranger = await gateway.chat({}, { ...KEY, authorization: 'Bearer sw-made-up-0123456789' });
    assert.equal(stranger.status, 401);
  });
});
