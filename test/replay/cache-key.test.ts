/** Requests that mean the same have one key; all others have another. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import type { Json, JsonObject } from '../../src/core/json.ts';
import { JsonBody } from '../../src/core/json-body.ts';
import { cacheKey, isVolatile, type KeyParts } from '../../src/replay/cache-key.ts';

const PARTS: KeyParts = {
  scope: 'acme',
  dialect: 'chat',
  model: 'smart',
  node: 'models.smart',
  targets: '[["a/x"]]',
  streaming: false,
  headers: [],
};

function keyOf(body: string | object, parts: Partial<KeyParts> = {}): string {
  const text = typeof body === 'string' ? body : JSON.stringify(body);
  return cacheKey({ ...PARTS, ...parts }, JsonBody.parse(Buffer.from(text)));
}

const ASKED = { model: 'smart', messages: [{ role: 'user', content: 'hi' }], temperature: 0.5 };

describe('what an answer is kept under', () => {
  it('is a short text that tells nothing of the request', () => {
    assert.match(keyOf(ASKED), /^[\w-]{43}$/);
  });

  it('is the same whatever the order of names, at every level, the white space, and the form of numbers', () => {
    const one = '{"model":"smart","messages":[{"role":"user","content":"hi"}],"temperature":0.5,"seed":100}';
    const other =
      ' {\n"seed" : 1e2,"temperature": 0.50, "messages":[ {"content":"h\\u0069" ,"role":"user"} ],\t"model":"smart"}';
    assert.equal(keyOf(one), keyOf(other));
  });

  it('is the same for an alias, and for a plain answer that is asked for in so many words', () => {
    assert.equal(keyOf({ ...ASKED, model: 'alias' }), keyOf(ASKED));
    assert.equal(keyOf({ ...ASKED, stream: false }), keyOf(ASKED));
  });

  it('keeps the order of lists', () => {
    assert.notEqual(keyOf({ ...ASKED, stop: ['a', 'b'] }), keyOf({ ...ASKED, stop: ['b', 'a'] }));
  });

  for (const [what, parts] of Object.entries({
    tenants: { scope: 'globex' },
    dialects: { dialect: 'responses' },
    models: { model: 'other' },
    nodes: { node: 'cheap' },
    'targets and their settings': { targets: '[["a/y"]]' },
    'streams and plain answers': { streaming: true },
    'headers that go on': { headers: ['anthropic-beta', 'x'] },
  } satisfies Record<string, Partial<KeyParts>>)) {
    it(`tells ${what} apart`, () => assert.notEqual(keyOf(ASKED, parts), keyOf(ASKED)));
  }

  for (const [name, values] of Object.entries({
    user: ['ann', 'bob'],
    store: [true, false],
    seed: [1, 2],
    temperature: [0.5, 0.51],
    stream_options: [{ include_usage: true }, { include_usage: false }],
    previous_response_id: ['resp_1', 'resp_2'],
    unknown: [1, null],
    metadata: [{ team: 'a' }, { team: 'b' }],
  })) {
    it(`tells requests apart by \`${name}\``, () => {
      const [one, other] = values;
      assert.notEqual(keyOf({ ...ASKED, [name]: one }), keyOf({ ...ASKED, [name]: other }));
    });
  }

  it('leaves out who asks, and how a provider is to keep and bill it', () => {
    const more = {
      safety_identifier: 'ann',
      prompt_cache_key: 'k',
      prompt_cache_retention: '24h',
      service_tier: 'flex',
    };
    assert.equal(keyOf({ ...ASKED, ...more }), keyOf(ASKED));
  });

  it('leaves out times and ids of the request, in the body and in its metadata', () => {
    const more = { request_id: 'r1', timestamp: 1_795_219_200, 'X-Request-ID': 'x' };
    const metadata = { team: 'a' };
    assert.equal(
      keyOf({ ...ASKED, ...more, metadata: { ...metadata, traceId: 't1', sent_at: '2026' } }),
      keyOf({ ...ASKED, metadata }),
    );
  });

  it('leaves them out nowhere else: in a message or a tool they may be what is asked', () => {
    const tool = (timestamp: number) => ({ ...ASKED, tools: [{ function: { parameters: { timestamp } } }] });
    assert.notEqual(keyOf(tool(1)), keyOf(tool(2)));
    assert.notEqual(keyOf({ ...ASKED, metadata: { service_tier: 'a' } }), keyOf({ ...ASKED, metadata: {} }));
  });

  it('takes none that has parts for an id or a time', () => {
    assert.notEqual(keyOf({ ...ASKED, timestamp: { now: 'evil' } }), keyOf(ASKED));
    assert.notEqual(keyOf({ ...ASKED, service_tier: ['x'] }), keyOf(ASKED));
    assert.notEqual(keyOf({ ...ASKED, metadata: { trace_id: ['x'] } }), keyOf({ ...ASKED, metadata: {} }));
  });

  it('leaves out headers that differ in each request, and no others', () => {
    const headers = ['x-team', 'a'];
    assert.equal(keyOf(ASKED, { headers: ['x-request-id', '1', ...headers] }), keyOf(ASKED, { headers }));
    assert.equal(
      keyOf(ASKED, { headers: ['x-a', '1', 'x-b', '2'] }),
      keyOf(ASKED, { headers: ['x-b', '2', 'x-a', '1'] }),
    );
    assert.notEqual(
      keyOf(ASKED, { headers: ['x-a', '1', 'x-b', '2'] }),
      keyOf(ASKED, { headers: ['x-a', '2', 'x-b', '1'] }),
    );
  });

  it('knows the names of ids and times in every spelling', () => {
    for (const name of ['request_id', 'requestId', 'X-Request-Id', 'trace-id', 'traceparent', 'TimeStamp']) {
      assert.ok(isVolatile(name), name);
    }
    for (const name of ['id', 'time', 'user', 'request', 'created', 'timestamps', 'session_id', 'user_id']) {
      assert.equal(isVolatile(name), false, name);
    }
  });
});

describe('texts that look the same when they are read, and may not be', () => {
  const body = (content: string) => `{"model":"smart","messages":[{"role":"user",${content}}]}`;

  it('numbers beyond 2^53', () => {
    assert.notEqual(keyOf(body('"id":9007199254740993')), keyOf(body('"id":9007199254740992')));
    assert.notEqual(keyOf(body('"id":1e400')), keyOf(body('"id":null')));
    assert.notEqual(keyOf(body('"id":1e400')), keyOf(body('"id":1e401')));
    assert.equal(keyOf(body('"id":9007199254740993')), keyOf(body('"id":9007199254740993')));
  });

  it('names that stand twice, of which another reader may take the first', () => {
    assert.notEqual(keyOf(body('"content":"evil","content":"hi"')), keyOf(body('"content":"hi"')));
    const top = '"messages":[{"role":"user","content":"hi"}]';
    assert.notEqual(keyOf(`{"model":"m","seed":1,"seed":2,${top}}`), keyOf(`{"model":"m","seed":2,${top}}`));
  });

  it('names that are written with an escape', () => {
    assert.notEqual(keyOf(body('"cont\\u0065nt":"hi"')), keyOf(body('"content":"hi"')));
  });

  it('colons and quotes in texts are no names', () => {
    const text = '"content":"a \\": {\\"b\\": 1, c: 2} \\\\"';
    assert.equal(keyOf(body(text)), keyOf(body(` ${text} `)));
  });

  it('names of prototypes are names like others', () => {
    const keys = ['__proto__', 'constructor', 'toString', 'hasOwnProperty'].map((name) =>
      keyOf(body(`"content":"hi","${name}":{"polluted":true}`)),
    );
    assert.equal(new Set([...keys, keyOf(body('"content":"hi"'))]).size, 5);
    assert.equal(({} as Record<string, unknown>)['polluted'], undefined);
  });

  it('lone surrogates', () => {
    assert.notEqual(keyOf(body('"content":"\\ud800"')), keyOf(body('"content":"\\ud801"')));
    assert.notEqual(keyOf(body('"content":"\\ud800"')), keyOf(body('"content":"\ufffd"')));
  });

  it('long texts', () => {
    const long = 'x'.repeat(100_000);
    const text = (end: string) => body(`"content":"${long}${end}"`);
    const keys = ['a', 'b', '\\ud800', '\\ud801', '\ufffd', ''].map((end) => keyOf(text(end)));
    assert.equal(new Set(keys).size, keys.length);
    assert.equal(keyOf(text('a')), keyOf(` ${text('\\u0061')}`));
  });

  it('what is nested as deep as can be read', () => {
    const deep = (inner: string) => `{"model":"m","messages":${'['.repeat(500)}${inner}${']'.repeat(500)}}`;
    assert.notEqual(keyOf(deep('1')), keyOf(deep('2')));
    assert.equal(keyOf(deep('1')), keyOf(deep(' 1 ')));
  });
});

/** Names that mean something to the key, among others. */
const name = fc.oneof(
  fc.constantFrom('a', 'b', 'messages', 'metadata', 'model', '__proto__', '', '1', 'ä'),
  fc.string({ maxLength: 4 }),
);
const { json } = fc.letrec<{ json: Json }>((tie) => ({
  json: fc.oneof(
    { depthSize: 'small', withCrossShrink: true },
    fc.constantFrom<Json>(null, true, false, 0, 1, -1, 0.1, 1e21, 'x', '1', '{}'),
    fc.double({ noNaN: true, noDefaultInfinity: true }),
    fc.string({ maxLength: 6, unit: 'binary' }),
    fc.array(tie('json'), { maxLength: 4 }),
    fc.array(fc.tuple(name, tie('json')), { maxLength: 4 }).map((pairs) => objectOf(pairs)),
  ),
}));

/** As `JSON.parse` makes them: `__proto__` is a member like others. */
function objectOf(pairs: [string, Json][]): JsonObject {
  const object: JsonObject = {};
  for (const [key, value] of pairs) {
    Object.defineProperty(object, key, { value, enumerable: true, configurable: true, writable: true });
  }
  return object;
}

/** The same with the members of each object in another order, and white space between them. */
function shuffled(value: Json, order: () => number): string {
  if (Array.isArray(value)) return `[ ${value.map((one) => shuffled(one, order)).join(' ,\n')} ]`;
  if (typeof value !== 'object' || value === null) return JSON.stringify(value);
  const members = Object.entries(value).map(
    ([key, one]) => `${JSON.stringify(key)} :\t${shuffled(one, order)}`,
  );
  return `{ ${members.sort(() => order()).join(' , ')} }`;
}

/** What is asked, in a form that can be compared: our own idea of the canonical form, made in another way. */
function meaningOf(body: JsonObject): string {
  const sorted = (value: Json): Json => {
    if (Array.isArray(value)) return value.map(sorted);
    if (typeof value !== 'object' || value === null) return Object.is(value, -0) ? 0 : value;
    return Object.entries(value)
      .map(([key, one]): Json => [key, sorted(one)])
      .sort((x, y) => ((x as [string])[0] < (y as [string])[0] ? -1 : 1));
  };
  return JSON.stringify(sorted(body));
}

describe('canonical form, of anything that is JSON', () => {
  it('does not depend on order and white space', () => {
    fc.assert(
      fc.property(json, fc.infiniteStream(fc.constantFrom(-1, 1)), (value, orders) => {
        const order = () => orders.next().value as number;
        const body = { extra: value };
        // A number of which others might read another one is held to its bytes.
        fc.pre(!/\d{16}|e\+/.test(JSON.stringify(body)) && !JSON.stringify(body).includes('\\'));
        assert.equal(keyOf(shuffled(body, order)), keyOf(JSON.stringify(body)));
      }),
      { numRuns: 500 },
    );
  });

  it('differs where anything differs', () => {
    fc.assert(
      fc.property(json, json, (one, other) => {
        const [first, second] = [{ extra: one }, { extra: other }];
        fc.pre(meaningOf(first) !== meaningOf(second));
        assert.notEqual(keyOf(JSON.stringify(first)), keyOf(JSON.stringify(second)));
      }),
      { numRuns: 1000 },
    );
  });

  it('differs where one value within differs', () => {
    fc.assert(
      fc.property(json, fc.nat(), (value, at) => {
        const text = JSON.stringify({ extra: value, last: 1 });
        const spots = [...text.matchAll(/[a-z0-9]/g)].map(({ index }) => index);
        const spot = spots[at % spots.length] as number;
        const changed = `${text.slice(0, spot)}${text[spot] === '7' ? '8' : '7'}${text.slice(spot + 1)}`;
        const read = parsed(changed);
        fc.pre(read !== null && meaningOf(read) !== meaningOf(parsed(text) as JsonObject));
        assert.notEqual(keyOf(changed), keyOf(text));
      }),
      { numRuns: 500 },
    );
  });
});

function parsed(text: string): JsonObject | null {
  try {
    return JSON.parse(text) as JsonObject;
  } catch {
    return null;
  }
}
