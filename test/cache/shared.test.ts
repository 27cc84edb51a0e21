/** Identical requests at the same time share one call, through a whole gateway. */
import assert from 'node:assert/strict';
import { connect, type Socket } from 'node:net';
import { describe, it } from 'node:test';
import OpenAI from 'openai';
import type { CleansUp } from '../support/redis.ts';
import { apiError, chatAnswer, chatStream, Gate, pauseUntil, reset } from '../support/upstream.ts';
import { cachedGateway, counted, Listener, type Rig, type Seen, seen, underWay } from './kit.ts';

const TENANTS = ['acme', 'globex'].map((id) => ({
  id,
  keys: [{ id: 'k', key: `sk-${id}` }],
  quotas: [
    { limit: 1000, of: 'requests', per: 'hour' },
    { limit: 1_000_000, of: 'tokens', per: 'hour' },
  ],
}));

function auth(tenant: string): Record<string, string> {
  return { authorization: `Bearer sk-${tenant}` };
}

async function used(rig: Rig, tenant: string): Promise<Record<string, number>> {
  const answer = await fetch(`${rig.gateway.url}/usage`, { headers: auth(tenant) });
  const { quotas } = (await answer.json()) as { quotas: { of: string; used: number }[] };
  return Object.fromEntries(quotas.map(({ of, used: amount }) => [of, amount]));
}

/** A first request whose answer waits for the gate, and others that have found it. */
async function waiting(
  rig: Rig,
  others: number,
  body: Record<string, unknown> = {},
): Promise<{ first: Promise<Seen>; leave: AbortController; rest: Promise<Seen>[] }> {
  const leave = new AbortController();
  const first = rig.gateway.chat(body, {}, leave.signal).then(seen);
  await rig.upstream.waitFor(rig.upstream.requests.length + 1);
  const rest = Array.from({ length: others }, () => seen(rig.gateway.chat(body)));
  await underWay(rig.gateway, others + 1);
  return { first, leave, rest };
}

describe('identical requests at the same time', () => {
  for (const stream of [false, true]) {
    it(`twenty of them are one call, ${stream ? 'streamed' : 'plain'}, and each has all of the answer`, async (t) => {
      const rig = await cachedGateway(t);
      const gate = new Gate();
      rig.upstream.enqueue(
        stream
          ? chatStream({ content: ['Hel', pauseUntil(gate), 'lo'] })
          : [pauseUntil(gate), chatAnswer({ content: 'Hello' })],
      );
      const asked = Array.from({ length: 20 }, () => seen(rig.gateway.chat({ stream })));
      await gate.reached();
      await underWay(rig.gateway, 20);
      gate.open();
      const all = await Promise.all(asked);
      assert.equal(rig.upstream.requests.length, 1);
      assert.deepEqual(counted(all.map(({ cache }) => cache)), { miss: 1, shared: 19 });
      assert.equal(new Set(all.map(({ text }) => text)).size, 1);
      assert.deepEqual(
        counted(
          all
            .filter(({ cache }) => cache === 'shared')
            .map((one) => `${one.status} ${one.cost} ${one.target} ${one.attempts}`),
        ),
        { '200 0 a/up 0': 19 },
      );
      assert.equal((await seen(rig.gateway.chat({ stream }))).cache, 'hit');
      const lines = (await rig.gateway.ended(21)) as {
        cache?: string;
        tokens: object | null;
        tries: object[];
        outcome: string;
      }[];
      assert.deepEqual(
        counted(
          lines.map(
            (one) =>
              `${one.cache} ${one.outcome} ${one.tokens === null ? 'none' : 'tokens'} ${one.tries.length}`,
          ),
        ),
        { 'miss ok tokens 1': 1, 'shared ok none 0': 19, 'hit ok none 0': 1 },
      );
      assert.equal(await rig.gateway.metric('spillway_cache_requests_total{model="m",result="shared"}'), 19);
    });
  }

  it('are read by the SDK as they come', async (t) => {
    const rig = await cachedGateway(t);
    const gate = new Gate();
    rig.upstream.enqueue(chatStream({ content: ['Hel', pauseUntil(gate), 'lo'] }));
    const client = new OpenAI({ baseURL: rig.gateway.url, apiKey: 'none', maxRetries: 0 });
    let halves = 0;
    const ask = async () => {
      const messages = [{ role: 'user' as const, content: 'hello' }];
      const stream = await client.chat.completions.create({ model: 'm', messages, stream: true });
      let text = '';
      let finish: string | null = null;
      for await (const chunk of stream) {
        text += chunk.choices[0]?.delta.content ?? '';
        finish = chunk.choices[0]?.finish_reason ?? finish;
        // Both have the first half before there is a second.
        if (text === 'Hel' && ++halves === 2) gate.open();
      }
      return `${text} ${finish}`;
    };
    assert.deepEqual(await Promise.all([ask(), ask()]), ['Hello stop', 'Hello stop']);
    assert.equal(rig.upstream.requests.length, 1);
  });

  it('each count as a request; only the one that asked pays for tokens', async (t) => {
    const models = { m: { provider: 'a', model: 'up', cache: { mode: 'exact', shared: true } } };
    const rig = await cachedGateway(t, { auth: 'keys', tenants: TENANTS, models });
    const gate = new Gate();
    rig.upstream.enqueue([pauseUntil(gate), chatAnswer()]);
    const first = seen(rig.gateway.chat({}, auth('acme')));
    await gate.reached();
    const rest = ['acme', 'globex', 'globex'].map((id) => seen(rig.gateway.chat({}, auth(id))));
    await underWay(rig.gateway, 4);
    gate.open();
    assert.equal((await first).cache, 'miss');
    assert.deepEqual(counted((await Promise.all(rest)).map(({ cache }) => cache)), { shared: 3 });
    await rig.gateway.ended(4);
    assert.deepEqual(await used(rig, 'acme'), { requests: 2, tokens: 21 });
    assert.deepEqual(await used(rig, 'globex'), { requests: 2, tokens: 0 });
  });

  it('of different tenants do not share where answers are not shared', async (t) => {
    const rig = await cachedGateway(t, { auth: 'keys', tenants: TENANTS });
    const gate = new Gate();
    rig.upstream.enqueue([pauseUntil(gate), chatAnswer()], [pauseUntil(gate), chatAnswer()]);
    const asked = ['acme', 'globex'].map((id) => seen(rig.gateway.chat({}, auth(id))));
    await gate.reached(2);
    gate.open();
    assert.deepEqual(
      (await Promise.all(asked)).map(({ cache }) => cache),
      ['miss', 'miss'],
    );
  });

  for (const control of ['no-cache', 'no-store', 'max-age=0']) {
    it(`that say ${control} neither share nor are shared`, async (t) => {
      const rig = await cachedGateway(t);
      const gate = new Gate();
      for (let i = 0; i < 3; i++) rig.upstream.enqueue([pauseUntil(gate), chatAnswer()]);
      const special = { 'cache-control': control };
      const asked = [seen(rig.gateway.chat({}, special))];
      await gate.reached(1);
      asked.push(seen(rig.gateway.chat()));
      await gate.reached(2);
      asked.push(seen(rig.gateway.chat({}, special)));
      await gate.reached(3);
      gate.open();
      assert.deepEqual(counted((await Promise.all(asked)).map(({ cache }) => cache)), { miss: 3 });
    });
  }

  it('do not share what a node below says is not to be kept', async (t) => {
    const models = {
      m: {
        cache: { mode: 'exact' },
        strategy: { mode: 'fallback' },
        targets: [
          { provider: 'a', model: 'one', cache: { mode: 'none' } },
          { provider: 'a', model: 'two' },
        ],
      },
    };
    const rig = await cachedGateway(t, { models });
    const gate = new Gate();
    rig.upstream.enqueue([pauseUntil(gate), chatAnswer()]);
    const { first, rest } = await waiting(rig, 3);
    gate.open();
    await first;
    assert.deepEqual(counted((await Promise.all(rest)).map(({ cache }) => cache)), { miss: 3 });
    assert.equal(rig.upstream.requests.length, 4);
  });
});

describe('when the one that asked leaves', () => {
  it('before its answer, the call goes on for the others, and its tenant pays', async (t) => {
    const rig = await cachedGateway(t, {
      auth: 'keys',
      tenants: TENANTS,
      models: { m: { provider: 'a', model: 'up', cache: { mode: 'exact', shared: true } } },
    });
    const gate = new Gate();
    rig.upstream.enqueue([pauseUntil(gate), chatAnswer()]);
    const leave = new AbortController();
    const first = rig.gateway.chat({}, auth('acme'), leave.signal);
    await gate.reached();
    const rest = [1, 2].map(() => seen(rig.gateway.chat({}, auth('globex'))));
    await underWay(rig.gateway, 3);
    leave.abort();
    await assert.rejects(first);
    await underWay(rig.gateway, 2);
    gate.open();
    const all = await Promise.all(rest);
    assert.deepEqual(counted(all.map(({ cache, status }) => `${cache} ${status}`)), { 'shared 200': 2 });
    assert.equal(rig.upstream.requests.length, 1);
    const lines = await rig.gateway.ended(3);
    const own = lines.find(({ tenant }) => tenant === 'acme');
    assert.deepEqual([own?.status, own?.outcome, own?.tokens?.output], [499, 'client_gone', 12]);
    assert.deepEqual(await used(rig, 'acme'), { requests: 1, tokens: 21 });
    assert.equal((await seen(rig.gateway.chat({}, auth('acme')))).cache, 'hit');
  });

  it('in the middle of its stream, the others have all of it, and it is kept', async (t) => {
    const rig = await cachedGateway(t);
    const gate = new Gate();
    rig.upstream.enqueue(chatStream({ content: ['Hel', pauseUntil(gate), 'lo'] }));
    const leave = new AbortController();
    const own = new Listener(await rig.gateway.chat({ stream: true }, {}, leave.signal));
    await own.until('Hel');
    const other = new Listener(await rig.gateway.chat({ stream: true }));
    await other.until('Hel');
    leave.abort();
    await underWay(rig.gateway, 1);
    gate.open();
    const text = await other.end();
    assert.match(text, /"lo"/);
    assert.ok(text.endsWith('data: [DONE]\n\n'));
    const lines = await rig.gateway.ended(2);
    assert.deepEqual(lines.map(({ outcome, status }) => `${outcome} ${status}`).sort(), [
      'client_gone 200',
      'ok 200',
    ]);
    const again = await seen(rig.gateway.chat({ stream: true }));
    assert.deepEqual([again.cache, again.text], ['hit', text]);
  });

  for (const stream of [false, true]) {
    it(`and all others too, the call is ended at once (${stream ? 'streamed' : 'plain'})`, async (t) => {
      const rig = await cachedGateway(t);
      const gate = new Gate();
      rig.upstream.enqueue(
        stream ? chatStream({ content: ['Hel', pauseUntil(gate), 'lo'] }) : [pauseUntil(gate), chatAnswer()],
      );
      const leave = [new AbortController(), new AbortController(), new AbortController()];
      const asked = leave.map(({ signal }) =>
        rig.gateway.chat({ stream }, {}, signal).then((one) => one.text()),
      );
      for (const one of asked) one.catch(() => {});
      await gate.reached();
      await underWay(rig.gateway, 3);
      const request = await rig.upstream.nextRequest();
      for (const [index, one] of leave.entries()) {
        assert.equal(request.aborted, false);
        one.abort();
        await underWay(rig.gateway, 2 - index);
      }
      await request.closed;
      gate.open();
      assert.equal(request.aborted, true);
      const lines = await rig.gateway.ended(3);
      assert.deepEqual(counted(lines.map(({ outcome }) => outcome)), { client_gone: 3 });
      assert.equal((await seen(rig.gateway.chat({ stream }))).cache, 'miss');
    });
  }

  it('a follower that leaves is no matter to the others', async (t) => {
    const rig = await cachedGateway(t);
    const gate = new Gate();
    rig.upstream.enqueue(chatStream({ content: ['Hel', pauseUntil(gate), 'lo'] }));
    const own = new Listener(await rig.gateway.chat({ stream: true }));
    const leave = new AbortController();
    const gone = new Listener(await rig.gateway.chat({ stream: true }, {}, leave.signal));
    await gone.until('Hel');
    leave.abort();
    const lines = await rig.gateway.ended(1);
    assert.deepEqual([lines[0]?.outcome, lines[0]?.status], ['client_gone', 200]);
    gate.open();
    assert.match(await own.end(), /\[DONE\]/);
  });
});

describe('when the one that asked fails', () => {
  const config = {
    models: { m: { provider: 'a', model: 'up', retry: { attempts: 0 }, cache: { mode: 'exact' } } },
  };

  it('before its answer, the others ask by themselves, at once and none for another', async (t) => {
    const rig = await cachedGateway(t, config);
    const gate = new Gate();
    const second = new Gate();
    rig.upstream.enqueue([pauseUntil(gate), apiError(503)]);
    const { first, rest } = await waiting(rig, 3);
    for (let i = 0; i < 3; i++) rig.upstream.enqueue([pauseUntil(second), chatAnswer()]);
    gate.open();
    assert.equal((await first).status, 503);
    await second.reached(3);
    // Whoever comes now shares with one of them.
    const late = seen(rig.gateway.chat());
    await underWay(rig.gateway, 4);
    second.open();
    assert.deepEqual(counted((await Promise.all(rest)).map(({ status, cache }) => `${status} ${cache}`)), {
      '200 miss': 3,
    });
    assert.equal((await late).cache, 'shared');
    assert.equal(rig.upstream.requests.length, 4);
  });

  it('in the middle of its stream, all who share it are told of the error', async (t) => {
    const rig = await cachedGateway(t, config);
    const gate = new Gate();
    rig.upstream.enqueue(chatStream({ content: ['Hel', pauseUntil(gate), reset()] }));
    const listeners = [
      new Listener(await rig.gateway.chat({ stream: true })),
      new Listener(await rig.gateway.chat({ stream: true })),
    ];
    gate.open();
    const [own, other] = await Promise.all(listeners.map((one) => one.end()));
    assert.equal(own, other);
    assert.match(own ?? '', /Hel.*stream_interrupted/s);
    assert.doesNotMatch(own ?? '', /\[DONE\]/);
    const lines = await rig.gateway.ended(2);
    assert.equal(lines[0]?.outcome, lines[1]?.outcome);
    assert.notEqual(lines[0]?.outcome, 'ok');
  });

  it('and another target answers outside of the node, the others go their own way', async (t) => {
    const models = {
      m: {
        strategy: { mode: 'fallback' },
        retry: { attempts: 0 },
        targets: [
          { provider: 'a', model: 'one', cache: { mode: 'exact' } },
          { provider: 'a', model: 'two' },
        ],
      },
    };
    const rig = await cachedGateway(t, { models });
    const gate = new Gate();
    const held = new Gate();
    rig.upstream.enqueue(
      [pauseUntil(gate), apiError(404, { code: 'model_not_found' })],
      chatStream({ content: ['Hel', pauseUntil(held), 'lo'] }),
    );
    const { first, rest } = await waiting(rig, 1, { stream: true });
    gate.open();
    // While that one is still at it.
    assert.deepEqual(
      (await Promise.all(rest)).map(({ target, cache }) => [target, cache]),
      [['a/one', 'miss']],
    );
    held.open();
    assert.equal((await first).target, 'a/two');
  });
});

/** Asks for a stream, and reads nothing of it until it is told to. */
function idleClient(t: CleansUp, rig: Rig): Socket {
  const idle = connect(Number(new URL(rig.gateway.origin).port), '127.0.0.1').pause();
  t.after(async () => {
    idle.destroy();
  });
  const body = JSON.stringify({ model: 'm', messages: [{ role: 'user', content: 'hello' }], stream: true });
  idle.write(
    `POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-type: application/json\r\ncontent-length: ${body.length}\r\n\r\n${body}`,
  );
  return idle;
}

it('a client that does not read holds up neither the one that asked nor the others, and is cut off', async (t) => {
  const rig = await cachedGateway(t);
  // More than all buffers on the way take.
  const piece = 'x'.repeat(256 * 1024);
  const gate = new Gate();
  rig.upstream.enqueue(chatStream({ content: ['Hel', pauseUntil(gate), ...Array(100).fill(piece)] }));
  const own = new Listener(await rig.gateway.chat({ stream: true }));
  const idle = idleClient(t, rig);
  await underWay(rig.gateway, 2);
  const other = new Listener(await rig.gateway.chat({ stream: true }));
  gate.open();
  const [text, same] = await Promise.all([own.end(), other.end()]);
  assert.ok(text.endsWith('data: [DONE]\n\n') && text === same);
  const lines = (await rig.gateway.ended(3)) as { cache?: string; outcome: string }[];
  assert.deepEqual(counted(lines.map(({ cache, outcome }) => `${cache} ${outcome}`)), {
    'miss ok': 1,
    'shared ok': 1,
    'shared broken_body': 1,
  });
  let rest = '';
  for await (const chunk of idle) rest = (rest + String(chunk)).slice(-1000);
  assert.match(rest, /stream_interrupted/);
  assert.doesNotMatch(rest, /\[DONE\]/);
});

it('the one that asked holds up the others where it does not read, until it leaves', async (t) => {
  const rig = await cachedGateway(t);
  const piece = 'x'.repeat(256 * 1024);
  const gate = new Gate();
  rig.upstream.enqueue(chatStream({ content: ['Hel', pauseUntil(gate), ...Array(100).fill(piece)] }));
  const idle = idleClient(t, rig);
  await rig.upstream.waitFor(1);
  const other = new Listener(await rig.gateway.chat({ stream: true }));
  await other.until('Hel');
  gate.open();
  const all = other.end();
  // Until nothing more comes.
  for (let before = -1, turns = 0; turns < 200; turns++) {
    if (other.text.length > before) turns = 0;
    before = other.text.length;
    await new Promise(setImmediate);
  }
  assert.doesNotMatch(other.text.slice(-100), /DONE/);
  idle.destroy();
  const text = await all;
  assert.ok(text.endsWith('data: [DONE]\n\n') && text.length > 100 * piece.length);
});

it('the end of the process ends a stream that nobody shares with an error as well', async (t) => {
  const rig = await cachedGateway(t, { server: { drain_timeout: '50ms' } });
  const gate = new Gate();
  rig.upstream.enqueue(chatStream({ content: ['Hel', pauseUntil(gate), 'lo'] }));
  const own = new Listener(await rig.gateway.chat({ stream: true }));
  await own.until('Hel');
  const drained = rig.gateway.app.drain();
  assert.match(await own.end(), /stream_interrupted/);
  await drained;
  gate.open();
});

it('the end of the process ends a shared stream with an error, for all who share it', async (t: CleansUp &
  object) => {
  const rig = await cachedGateway(t, { server: { drain_timeout: '50ms' } });
  const gate = new Gate();
  rig.upstream.enqueue(chatStream({ content: ['Hel', pauseUntil(gate), 'lo'] }));
  const leave = new AbortController();
  const own = new Listener(await rig.gateway.chat({ stream: true }, {}, leave.signal));
  const others = [
    new Listener(await rig.gateway.chat({ stream: true })),
    new Listener(await rig.gateway.chat({ stream: true })),
  ];
  for (const one of [own, ...others]) await one.until('Hel');
  // Even where the one that asked is not there any more to be told.
  leave.abort();
  await underWay(rig.gateway, 2);
  const drained = rig.gateway.app.drain();
  for (const text of await Promise.all(others.map((one) => one.end()))) {
    assert.match(text, /stream_interrupted/);
    assert.doesNotMatch(text, /\[DONE\]/);
  }
  await drained;
  gate.open();
});
