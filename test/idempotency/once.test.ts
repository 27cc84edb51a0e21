/** What is done once and given again, seen from the pipeline: exchanges of the test's own, on a clock that it moves. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { RequestEntry } from '../../src/accounting/request-entry.ts';
import { Cancellation } from '../../src/core/cancellation.ts';
import { ApiError } from '../../src/core/errors.ts';
import type { Exchange, Headers, ResponseStream } from '../../src/pipeline/exchange.ts';
import { keptHeaders } from '../../src/pipeline/header-list.ts';
import { type OnceContext, once } from '../../src/pipeline/idempotent.ts';
import type { Dialect } from '../../src/providers/adapter.ts';
import type { Claimed, Claims } from '../../src/replay/claims.ts';
import { MemoryClaims } from '../../src/replay/memory-claims.ts';
import { StateUnavailable } from '../../src/state/unavailable.ts';
import { ManualClock } from '../support/manual-clock.ts';

class Client implements Exchange {
  readonly cancellation = new Cancellation();
  readonly requestId: string;
  readonly body: Buffer;
  readonly dialect: Dialect;
  principal = null;
  live = null;
  readonly startedAt: number;
  readonly readAt: number;
  status = 0;
  headers: Record<string, string> = {};
  text = '';
  streams = false;
  ended = false;
  /** It takes no more for now. */
  slow = false;
  readonly #key: string;

  constructor(clock: ManualClock, { key = 'key', body = '{}', id = 'id', dialect = 'chat' as Dialect } = {}) {
    this.#key = key;
    this.body = Buffer.from(body);
    this.requestId = id;
    this.dialect = dialect;
    this.startedAt = this.readAt = clock.now();
  }

  header(name: string): string | undefined {
    return name === 'idempotency-key' ? this.#key : undefined;
  }

  send(status: number, headers: Headers, body: Buffer | string): void {
    assert.ok(!this.ended && !this.streams, 'it has been answered');
    Object.assign(this, { status, headers: byName(headers), text: body.toString(), ended: true });
  }

  stream(headers: Headers): ResponseStream {
    assert.ok(!this.ended && !this.streams, 'it has been answered');
    Object.assign(this, { status: 200, headers: byName(headers), streams: true });
    return {
      write: (bytes) => {
        this.text += bytes.toString();
        return !this.slow;
      },
      end: () => {
        this.ended = true;
      },
    };
  }
}

/** Each is said once. */
function byName(headers: Headers): Record<string, string> {
  const kept = keptHeaders(headers, () => true);
  assert.equal(Object.keys(kept).length, headers.length / 2, headers.join());
  return kept;
}

function newEntry(): RequestEntry {
  return {
    id: 'id',
    principal: null,
    model: null,
    modelLabel: 'm',
    target: null,
    status: 0,
    outcome: 'refused',
    stream: false,
    tries: [],
    firstTokenMs: null,
    waitedMs: 0,
    startedAt: 0,
    spent: null,
  };
}

type Execute = (exchange: Exchange, entry: RequestEntry) => Promise<void> | void;

function stage({ maxBody = 1000, ttl = 60_000, claims: given = null as Claims | null } = {}) {
  const clock = new ManualClock(1000);
  const claims = given ?? new MemoryClaims({ clock, maxBytes: 1_000_000 });
  const draining = new Cancellation();
  let runs = 0;
  const run = async (client: Client, context: OnceContext, execute: Execute) => {
    const exchange = await once(client, context);
    if (exchange === null) return;
    runs++;
    try {
      await execute(exchange, context.entry);
    } catch (error) {
      exchange.free();
      throw error;
    } finally {
      exchange.close();
    }
  };
  return {
    clock,
    claims,
    draining,
    get runs() {
      return runs;
    },
    /** One request; `execute` is what the pipeline does with it. */
    ask(
      execute: Execute,
      {
        tenant = 'acme',
        waitFor = 10_000,
        ...rest
      }: ConstructorParameters<typeof Client>[1] & {
        tenant?: string;
        waitFor?: number;
      } = {},
    ) {
      const client = new Client(clock, rest);
      const entry = newEntry();
      const settings = { ttl, maxBody, encryptionKey: null };
      const context = { tenant, claims, settings, waitFor, clock, draining, entry };
      return { client, entry, over: run(client, context, execute) };
    },
  };
}

const HEADERS = {
  'content-type': 'application/json',
  'x-request-id': 'id',
  'request-id': 'id',
  'x-spillway-target': 'a/up',
  'x-spillway-cost': '0.5',
  'x-spillway-attempts': '2',
  'x-ratelimit-remaining-requests': '9',
  'retry-after': '1',
  'retry-after-ms': '1000',
};

const plain =
  (body: Buffer | string = '{"a":1}', status = 200) =>
  (exchange: Exchange) =>
    exchange.send(status, Object.entries(HEADERS).flat(), body);

const streams =
  (events: readonly string[], outcome: RequestEntry['outcome'] = 'ok') =>
  (exchange: Exchange, entry: RequestEntry) => {
    const headers = Object.entries({ ...HEADERS, 'content-type': 'text/event-stream' }).flat();
    const response = exchange.stream(headers, () => {});
    for (const event of events) response.write(Buffer.from(event));
    response.end();
    entry.outcome = outcome;
  };

const never = () => assert.fail('it was run again');

/** The error that a request ends with. */
async function refusalOf(over: Promise<void>): Promise<ApiError> {
  const error = await over.then(
    () => assert.fail('it was not refused'),
    (error) => error as unknown,
  );
  assert.ok(error instanceof ApiError, String(error));
  return error;
}

describe('an answer that is given again', () => {
  it('is the same, but for what belongs to the exchange, and says that it is one', async () => {
    const { ask } = stage();
    const first = ask(plain(), { id: 'first' });
    await first.over;
    assert.deepEqual([first.client.text, first.client.headers], ['{"a":1}', HEADERS]);
    const second = ask(never, { id: 'second' });
    await second.over;
    assert.equal(second.client.status, 200);
    assert.equal(second.client.text, '{"a":1}');
    assert.deepEqual(second.client.headers, {
      'content-type': 'application/json',
      'x-spillway-target': 'a/up',
      'x-spillway-cost': '0.5',
      'x-spillway-attempts': '2',
      'x-request-id': 'second',
      'x-spillway-replayed': 'true',
    });
    const { replayed, status, outcome, target, spent } = second.entry;
    assert.deepEqual([replayed, status, outcome, target, spent], [true, 200, 'ok', 'a/up', null]);
    assert.equal(first.entry.replayed, undefined);
  });

  it('has the ids under the names of its dialect', async () => {
    const { ask } = stage();
    await ask(plain(), { dialect: 'messages', id: 'first' }).over;
    const { client, over } = ask(never, { dialect: 'messages', id: 'second' });
    await over;
    assert.deepEqual([client.headers['x-request-id'], client.headers['request-id']], ['second', 'second']);
  });

  it('is a stream if it was one, with the same events', async () => {
    const { ask } = stage();
    const events = ['data: {"é":1}\n\n', ': ping\n\n', 'data: [DONE]\n\n'];
    const first = ask(streams(events));
    await first.over;
    const { client, over } = ask(never);
    await over;
    assert.deepEqual([client.streams, client.ended, client.text], [true, true, events.join('')]);
    assert.equal(first.client.text, events.join(''));
    assert.equal(client.headers['content-type'], 'text/event-stream');
    assert.equal(client.headers['x-spillway-replayed'], 'true');
  });

  for (const status of [200, 201, 400, 404, 405, 410, 413, 414, 415, 422]) {
    it(`may have status ${status}: it would be the same again`, async () => {
      const { ask } = stage();
      await ask(plain('said', status)).over;
      const { client, entry, over } = ask(never);
      await over;
      assert.deepEqual([client.status, client.text], [status, 'said']);
      assert.equal(entry.outcome, status < 400 ? 'ok' : 'invalid_request');
    });
  }

  for (const status of [301, 401, 402, 403, 408, 409, 424, 425, 429, 499, 500, 502, 503, 504, 529]) {
    it(`never has status ${status}: the next one runs`, async () => {
      const stand = stage();
      await stand.ask(plain('said', status)).over;
      const { client, over } = stand.ask(plain('better'));
      await over;
      assert.equal(client.text, 'better');
      assert.equal(stand.runs, 2);
    });
  }

  it('is kept for its time, and no longer', async () => {
    const stand = stage({ ttl: 5000 });
    await stand.ask(plain('one')).over;
    stand.clock.advance(4999);
    await stand.ask(never).over;
    stand.clock.advance(1);
    const { client, over } = stand.ask(plain('two'));
    await over;
    assert.equal(client.text, 'two');
  });

  it('is never one that broke, that nobody gave, or that failed in our hands', async () => {
    const ends = [
      streams(['data: 1\n\n'], 'broken_body'),
      streams(['data: 1\n\n'], 'client_gone'),
      streams(['data: 1\n\n'], 'shutdown'),
      () => {},
    ];
    for (const end of ends) {
      const { ask } = stage();
      await ask(end).over;
      const { client, over } = ask(plain('better'));
      await over;
      assert.equal(client.text, 'better');
    }
    const { ask } = stage();
    const error = new Error('a mistake');
    await assert.rejects(
      ask((exchange) => {
        plain()(exchange);
        throw error;
      }).over,
      error,
    );
    const { client, over } = ask(plain('better'));
    await over;
    assert.equal(client.text, 'better');
  });
});

describe('the size of an answer', () => {
  it('may be the bound, and no byte more; what is larger reaches its client all the same', async () => {
    for (const make of [
      (body: string) => plain(body),
      (body: string) => plain(Buffer.from(body)),
      (body: string) => streams([...body]),
      (body: string) => streams([body.slice(0, 7), body.slice(7)]),
    ]) {
      const stand = stage({ maxBody: 10 });
      const fits = stand.ask(make('12345678é'), { key: 'fits' });
      await fits.over;
      await stand.ask(never, { key: 'fits' }).over;
      const large = stand.ask(make('123456789é'), { key: 'large' });
      await large.over;
      assert.equal(large.client.text, '123456789é');
      await stand.ask(make('again'), { key: 'large' }).over;
      assert.equal(stand.runs, 3);
    }
  });

  it('may be nothing', async () => {
    const { ask } = stage();
    await ask(plain('')).over;
    const { client, over } = ask(never);
    await over;
    assert.deepEqual([client.status, client.text], [200, '']);
  });

  it('of a long stream does not change what is kept of it', async () => {
    const { ask } = stage({ maxBody: 1_000_000 });
    const events = Array.from({ length: 5000 }, (_, i) => `data: ${'x'.repeat(i % 90)} ${i}\n\n`);
    await ask(streams(events)).over;
    const { client, over } = ask(never);
    await over;
    assert.equal(client.text, events.join(''));
  });

  it('is of no matter where it is no text: that is not kept', async () => {
    const stand = stage();
    const bytes = Buffer.from([0x7b, 0xff, 0x7d]);
    await stand.ask(plain(bytes)).over;
    await stand.ask(plain(bytes)).over;
    assert.equal(stand.runs, 2);
  });

  it('holds nothing up: a slow client still says so', async () => {
    const { ask } = stage({ maxBody: 3 });
    let took: boolean[] = [];
    const { over } = ask((exchange) => {
      const response = exchange.stream([], () => {});
      (exchange as unknown as { inner: Client }).inner.slow = true;
      took = [response.write(Buffer.from('12')), response.write(Buffer.from('34'))];
    });
    await over;
    assert.deepEqual(took, [false, false]);
  });
});

describe('the key', () => {
  for (const key of ['', 'a'.repeat(256), 'é', 'a\u007f', 'a\tb', 'a\nb', '\u00a0']) {
    it(`is refused where it is ${JSON.stringify(key.slice(0, 5))} (${key.length})`, async () => {
      const error = await refusalOf(stage().ask(never, { key }).over);
      assert.deepEqual([error.status, error.code], [400, 'invalid_value']);
      assert.match(error.message, /Idempotency-Key/);
    });
  }

  for (const key of ['a', '~', 'a b', 'a'.repeat(255), '"8e03978e-40d5-43dd-bc93-6894a57f9324"']) {
    it(`may be ${JSON.stringify(key.slice(0, 40))}`, async () => {
      const { ask } = stage();
      await ask(plain(), { key }).over;
      await ask(never, { key }).over;
    });
  }

  it('is for one request: another body, or another path, is refused and changes nothing', async () => {
    const { ask } = stage();
    await ask(plain('one')).over;
    for (const other of [{ body: '{"a":2}' }, { dialect: 'messages' as const }]) {
      const { client, over } = ask(never, other);
      const error = await refusalOf(over);
      assert.deepEqual([error.status, error.code, error.shouldRetry], [422, 'idempotency_key_reused', false]);
      assert.equal(client.status, 0);
    }
    const { client, over } = ask(never);
    await over;
    assert.equal(client.text, 'one');
  });

  it('of one tenant is not that of another', async () => {
    const { ask } = stage();
    await ask(plain('of acme'), { tenant: 'acme' }).over;
    const { client, over } = ask(plain('of globex'), { tenant: 'globex' });
    await over;
    assert.equal(client.text, 'of globex');
  });
});

/** A request that runs until the test says so. */
function held(
  stand: ReturnType<typeof stage>,
  end: (exchange: Exchange, entry: RequestEntry) => void = plain(),
) {
  const { promise, resolve } = Promise.withResolvers<void>();
  const request = stand.ask(async (exchange, entry) => {
    await promise;
    end(exchange, entry);
  });
  return { ...request, go: resolve };
}

const turn = () => new Promise(setImmediate);

describe('a request that comes while the same one runs', () => {
  it('waits for it and is given its answer', async () => {
    const stand = stage();
    const first = held(stand);
    await turn();
    const others = Array.from({ length: 20 }, () => stand.ask(never));
    await stand.clock.advanceAsync(3000);
    assert.ok(others.every(({ client }) => client.status === 0));
    first.go();
    await Promise.all([first.over, ...others.map(({ over }) => over)]);
    for (const { client, entry } of others) {
      assert.equal(client.text, '{"a":1}');
      assert.equal(client.headers['x-spillway-replayed'], 'true');
      assert.equal(entry.waitedMs, 3000);
    }
    assert.equal(stand.runs, 1);
    assert.equal(stand.clock.pending, 0);
  });

  it('runs when that failed: one of those who wait, and the others are given its answer', async () => {
    const stand = stage();
    const first = held(stand, plain('failed', 503));
    await turn();
    const others = Array.from({ length: 20 }, () => stand.ask(plain('better')));
    await turn();
    first.go();
    await Promise.all(others.map(({ over }) => over));
    assert.ok(others.every(({ client }) => client.text === 'better'));
    assert.equal(stand.runs, 2);
    assert.equal(others.filter(({ entry }) => entry.replayed).length, 19);
  });

  it('has its whole time when it runs after all, however long it had waited', async () => {
    const stand = stage();
    const first = held(stand, plain('too late', 504));
    await turn();
    const second = stand.ask((exchange) => {
      assert.deepEqual([exchange.startedAt, exchange.readAt], [1000, 10_995]);
      plain('better')(exchange);
    });
    await stand.clock.advanceAsync(9995);
    first.go();
    await second.over;
    assert.equal(second.client.text, 'better');
  });

  it('runs when the client of that one left', async () => {
    const stand = stage();
    const first = held(stand, (_exchange, entry) => {
      entry.outcome = 'client_gone';
    });
    await turn();
    const second = stand.ask(plain('better'));
    await turn();
    first.go();
    await second.over;
    assert.equal(second.client.text, 'better');
  });

  it('is told to come again when it has waited for as long as a request may take', async () => {
    const stand = stage();
    const first = held(stand);
    await turn();
    const second = stand.ask(never, { waitFor: 5000 });
    await stand.clock.advanceAsync(4999);
    assert.equal(stand.clock.pending, 1);
    void stand.clock.advanceAsync(1);
    const error = await refusalOf(second.over);
    assert.deepEqual([error.status, error.code], [409, 'idempotency_key_in_use']);
    assert.ok((error.retryAfterMs ?? 0) > 0);
    assert.notEqual(error.shouldRetry, false);
    assert.equal(stand.clock.pending, 0);
    first.go();
    await first.over;
    await stand.ask(never).over;
  });

  it('does not wait where it has used up its time already', async () => {
    const stand = stage();
    const first = held(stand);
    await turn();
    const error = await refusalOf(stand.ask(never, { waitFor: 0 }).over);
    assert.equal(error.code, 'idempotency_key_in_use');
    first.go();
    await first.over;
  });

  it('stops to wait when its client leaves', async () => {
    const stand = stage();
    const first = held(stand);
    await turn();
    const second = stand.ask(never);
    await turn();
    second.client.cancellation.cancel('client_gone');
    await second.over;
    assert.deepEqual([second.entry.status, second.entry.outcome], [499, 'client_gone']);
    assert.equal(second.client.status, 0);
    assert.equal(stand.clock.pending, 0);
    first.go();
    await first.over;
    assert.equal(second.client.status, 0);
  });

  it('is told that the gateway shuts down, if it does', async () => {
    const stand = stage();
    const first = held(stand);
    await turn();
    const second = stand.ask(never);
    await turn();
    second.client.cancellation.cancel('shutdown');
    const error = await refusalOf(second.over);
    assert.deepEqual([error.status, error.code], [503, 'server_shutting_down']);
    first.go();
    await first.over;
  });

  it('still waits while the gateway lets what it has begun come to its end', async () => {
    const stand = stage();
    const first = held(stand);
    await turn();
    const second = stand.ask(never);
    await turn();
    stand.draining.cancel('shutdown');
    const third = stand.ask(never);
    await turn();
    first.go();
    await Promise.all([second.over, third.over]);
    assert.deepEqual([second.client.text, third.client.text], ['{"a":1}', '{"a":1}']);
    assert.equal(stand.clock.pending, 0);
  });

  it('begins nothing any more when that failed in a gateway that is to end', async () => {
    const stand = stage();
    const first = held(stand, plain('failed', 503));
    await turn();
    const second = stand.ask(never);
    await turn();
    stand.draining.cancel('shutdown');
    first.go();
    const error = await refusalOf(second.over);
    assert.deepEqual([error.status, error.code], [503, 'server_shutting_down']);
    assert.ok((error.retryAfterMs ?? 0) > 0);
  });

  it('is refused at once if it is another one', async () => {
    const stand = stage();
    const first = held(stand);
    await turn();
    assert.equal((await refusalOf(stand.ask(never, { body: 'other' }).over)).code, 'idempotency_key_reused');
    first.go();
    await first.over;
  });
});

/** Claims that say what the test says, one answer after the other; the last for ever. */
class Scripted implements Claims {
  readonly asked: (number | undefined)[] = [];
  readonly #script: (Claimed | Error)[];

  constructor(...script: (Claimed | Error)[]) {
    this.#script = script;
  }

  wanted(tenant: string, name: string) {
    return { tenant, name, mark: '' };
  }

  async wantedOfLarge(tenant: string, name: string) {
    return this.wanted(tenant, name);
  }

  async claim(_wanted: unknown, elsewhere?: number): Promise<Claimed> {
    this.asked.push(elsewhere);
    const next = (this.#script.length > 1 ? this.#script.shift() : this.#script[0]) as Claimed | Error;
    if (next instanceof Error) throw next;
    return next;
  }

  async close() {}
}

const elsewhere = (until: number): Claimed => ({ kind: 'running', over: null, until });
const kept = { status: 200, headers: {}, streamed: false, target: 'a/up', body: 'said elsewhere' };

describe('a request that comes while the same one runs in another gateway', () => {
  it('asks again soon at first, then twice a second', async () => {
    const claims = new Scripted(elsewhere(11_000));
    const { clock, ask } = stage({ claims });
    const refused = refusalOf(ask(never, { waitFor: 3000 }).over);
    const times: number[] = [];
    for (let ms = 0; ms <= 3000; ms++) {
      await turn();
      while (times.length < claims.asked.length) times.push(ms);
      clock.advance(1);
    }
    await refused;
    const gaps = times.slice(1).map((time, i) => time - (times[i] as number));
    const expected = [50, 75, 113, 169, 254, 380, 500, 500, 500];
    assert.equal(gaps.length, 10);
    for (const [i, gap] of expected.entries()) {
      assert.ok(Math.abs((gaps[i] as number) - gap) <= 2, `${gaps} for ${expected}`);
    }
    assert.equal(times.at(-1), 3000);
    assert.equal(clock.pending, 0);
  });

  it('is given its answer, and says until when that one was known to live', async () => {
    const claims = new Scripted(elsewhere(11_000), elsewhere(12_000), { kind: 'done', answer: kept });
    const { clock, ask } = stage({ claims });
    const { client, entry, over } = ask(never);
    for (let i = 0; i < 3; i++) await clock.advanceAsync(100);
    await over;
    assert.equal(client.text, 'said elsewhere');
    assert.ok(entry.waitedMs > 100 && entry.waitedMs <= 200, `${entry.waitedMs}`);
    assert.deepEqual(claims.asked, [undefined, 11_000, 12_000]);
  });

  it('is let go as soon as its own gateway is to end: its answer will be found at another one', async () => {
    const { clock, draining, ask } = stage({ claims: new Scripted(elsewhere(11_000)) });
    const waiting = refusalOf(ask(never).over);
    await turn();
    draining.cancel('shutdown');
    for (const refused of [waiting, refusalOf(ask(never).over)]) {
      const error = await refused;
      assert.deepEqual([error.status, error.code], [503, 'server_shutting_down']);
      assert.ok((error.retryAfterMs ?? 0) > 0);
      assert.notEqual(error.shouldRetry, false);
    }
    assert.equal(clock.now(), 1000);
    assert.equal(clock.pending, 0);
  });

  it('is refused where nothing can be known and nothing may be done', async () => {
    const claims = new Scripted(elsewhere(11_000), new StateUnavailable('redis: it is away'));
    const { clock, ask } = stage({ claims });
    const { over } = ask(never);
    const refused = refusalOf(over);
    await clock.advanceAsync(50);
    const error = await refused;
    assert.deepEqual([error.status, error.code, error.retryAfterMs], [503, 'state_unavailable', 1000]);
    assert.ok(!error.message.includes('redis'));
  });
});
