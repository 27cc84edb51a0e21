import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import type { RequestEntry } from '../../src/accounting/request-entry.ts';
import { RequestLines } from '../../src/accounting/request-line.ts';
import { millisecondsOf, Pieces } from '../../src/accounting/text.ts';
import { NANODOLLARS, type Spent } from '../../src/core/usage.ts';
import { Limits } from '../../src/quota/limits.ts';

const TIMES = { wall: 1_795_350_671_743, ms: 2210.25, gatewayMs: 0.4 };

const PLAIN: RequestEntry = {
  id: '402dda3e118949910005zcf',
  principal: principalOf('acme', 'ci'),
  model: 'smart',
  modelLabel: 'smart',
  target: 'anthropic/claude',
  status: 200,
  outcome: 'ok',
  stream: false,
  tries: [
    { target: 'openai/gpt', outcome: 'overloaded', status: 503, startedAt: 1, ms: 41 },
    { target: 'anthropic/claude', outcome: 'ok', status: 200, startedAt: 1, ms: 1.694123 },
  ],
  firstTokenMs: null,
  waitedMs: 0,
  startedAt: 1,
  spent: {
    usage: { input: 20, output: 80, cached: 0, cacheWrite: 0, reasoning: 0 },
    estimated: false,
    cost: 1_200_000,
  },
};

function principalOf(id: string, key: string | null): NonNullable<RequestEntry['principal']> {
  return {
    tenant: { id, tier: null, models: null, keys: [], quotas: [] },
    key,
    limits: new Limits([], null),
  };
}

/** The same, printed field by field. */
function printed(entry: RequestEntry, { wall, ms, gatewayMs }: typeof TIMES): string {
  const { spent } = entry;
  const rounded = (time: number) => Math.round(time * 1000) / 1000;
  const dollars = (cost: number | null) => (cost === null ? null : cost / NANODOLLARS);
  const saved = spent?.cacheSaved;
  return `${JSON.stringify({
    level: 30,
    time: wall,
    msg: 'request',
    id: entry.id,
    tenant: entry.principal?.tenant.id ?? null,
    key: entry.principal?.key ?? null,
    model: entry.model,
    target: entry.target,
    status: entry.status,
    outcome: entry.outcome,
    stream: entry.stream,
    tries: entry.tries.map((one) => {
      return { target: one.target, outcome: one.outcome, status: one.status, ms: rounded(one.ms) };
    }),
    first_token_ms: entry.firstTokenMs === null ? null : rounded(entry.firstTokenMs),
    ms: rounded(ms),
    gateway_ms: rounded(gatewayMs),
    tokens: spent === null ? null : tokens(spent),
    cost_usd: spent === null ? null : dollars(spent.cost),
    parts: spent?.parts?.map(({ target, usage, cost }) => {
      return { target, output: usage.output, cost_usd: dollars(cost) };
    }),
    cache_saved_usd: saved === undefined ? undefined : (saved.read - saved.written) / NANODOLLARS,
    cache: entry.cache,
    replayed: entry.replayed,
    error: entry.error,
    quota: entry.quota,
    prompt: entry.prompt,
    answer: entry.answer,
  })}\n`;
}

function tokens({ usage, estimated }: Spent): object {
  const { input, output, cached, cacheWrite, reasoning } = usage;
  return {
    input,
    output,
    cached,
    ...(cacheWrite > 0 ? { cache_write: cacheWrite } : {}),
    reasoning,
    ...(estimated ? { estimated } : {}),
  };
}

const text = fc.oneof(fc.string(), fc.string({ unit: 'binary' }), fc.constantFrom('"', '\\', '\n', '\ud800'));
const time = fc.oneof(fc.double({ min: 0, max: 1e7, noNaN: true }), fc.nat(9).map(Math.sqrt), fc.nat(9));
/** What upstreams report may be any number, and none. */
const amount = fc.oneof(fc.nat(), fc.double(), fc.constantFrom(0, Infinity, 1e21, 1e-9));
const usage = fc.record({
  input: amount,
  output: amount,
  cached: amount,
  cacheWrite: amount,
  reasoning: amount,
});
const cost = fc.option(amount);
const outcome = fc.constantFrom('ok', 'timeout', 'client_gone', 'rate_limited');
const entries: fc.Arbitrary<RequestEntry> = fc.record(
  {
    // Others are not let in: server/request-id.ts.
    id: fc.stringMatching(/^[A-Za-z0-9._-]{1,128}$/),
    principal: fc.option(fc.tuple(text, fc.option(text)).map(([id, key]) => principalOf(id, key))),
    model: fc.option(text),
    modelLabel: text,
    target: fc.option(text),
    status: fc.constantFrom(200, 499, 503),
    outcome: fc.oneof(outcome, fc.constantFrom('refused', 'unanswered')),
    stream: fc.boolean(),
    tries: fc.array(
      fc.record({
        target: text,
        outcome,
        status: fc.option(fc.constantFrom(200, 503)),
        startedAt: time,
        ms: time,
      }),
    ),
    firstTokenMs: fc.option(time),
    waitedMs: time,
    startedAt: time,
    spent: fc.option(
      fc.record(
        {
          usage,
          estimated: fc.boolean(),
          cost,
          cacheSaved: fc.record({ read: fc.integer(), written: fc.integer() }),
          parts: fc.array(fc.record({ target: text, usage, cost })),
        },
        { requiredKeys: ['usage', 'estimated', 'cost'] },
      ),
    ),
    cache: fc.constantFrom('hit', 'miss', 'shared'),
    replayed: fc.constant(true),
    error: text,
    quota: text,
    prompt: text,
    answer: text,
  },
  {
    requiredKeys: [
      'id',
      'principal',
      'model',
      'modelLabel',
      'target',
      'status',
      'outcome',
      'stream',
      'tries',
      'firstTokenMs',
      'waitedMs',
      'startedAt',
      'spent',
    ],
  },
);

/** As most are: one try, which answered. */
const answeredAtOnce: fc.Arbitrary<RequestEntry> = fc
  .tuple(entries, text, time)
  .map(([entry, target, ms]) => {
    const only = { target, outcome: 'ok', status: 200, startedAt: 1, ms } as const;
    return { ...entry, target, status: 200, outcome: 'ok', stream: false, tries: [only] };
  });

describe('the line of a request', () => {
  it('has its fields in the order that the documentation names', () => {
    assert.equal(
      new RequestLines().of(PLAIN, TIMES),
      '{"level":30,"time":1795350671743,"msg":"request","id":"402dda3e118949910005zcf","tenant":"acme","key":"ci","model":"smart","target":"anthropic/claude","status":200,"outcome":"ok","stream":false,"tries":[{"target":"openai/gpt","outcome":"overloaded","status":503,"ms":41},{"target":"anthropic/claude","outcome":"ok","status":200,"ms":1.694}],"first_token_ms":null,"ms":2210.25,"gateway_ms":0.4,"tokens":{"input":20,"output":80,"cached":0,"reasoning":0},"cost_usd":0.0012}\n',
    );
  });

  it('is what printing its fields gives, whatever they hold, and one line', () => {
    const lines = new RequestLines();
    const times = fc.record({ wall: fc.nat(), ms: time, gatewayMs: time });
    fc.assert(
      fc.property(fc.oneof(entries, answeredAtOnce), times, (entry, when) => {
        const line = lines.of(entry, when);
        assert.equal(line, printed(entry, when));
        assert.equal(line.indexOf('\n'), line.length - 1);
      }),
    );
  });
});

describe('milliseconds', () => {
  it('are printed to the microsecond, as JSON has them', () => {
    const cases: [ms: number, text: string][] = [
      [0, '0'],
      [0.0004, '0'],
      [-0.0001, '0'],
      [0.001, '0.001'],
      [0.01, '0.01'],
      [0.1, '0.1'],
      [0.9995, '1'],
      [12.6941, '12.694'],
      [1000, '1000'],
      [59_999.5, '59999.5'],
      [-1.5, '-1.5'],
      [Number.NaN, 'null'],
      [Infinity, 'null'],
    ];
    for (const [ms, text] of cases) assert.equal(millisecondsOf(ms), text);
  });
});

describe('pieces of text', () => {
  it('are made once for each name, and of none', () => {
    const made: string[] = [];
    const pieces = new Pieces((json) => {
      made.push(json);
      return `<${json}>`;
    });
    for (let i = 0; i < 2; i++) {
      assert.deepEqual(
        ['a', 'b"', 'null', null].map((name) => pieces.of(name)),
        ['<"a">', '<"b\\"">', '<"null">', '<null>'],
      );
    }
    assert.deepEqual(made, ['"a"', '"b\\""', '"null"', 'null']);
  });

  it('are not kept of long names, nor without end', () => {
    const pieces = new Pieces((json) => json);
    assert.equal(pieces.of('x'.repeat(65)).length, 67);
    assert.equal(pieces.size, 0);
    assert.equal(pieces.of('x'.repeat(64)).length, 66);
    for (let i = 1; i < 10_000; i++) pieces.of(`${i}`);
    assert.equal(pieces.size, 10_000);
    assert.equal(pieces.of('one more'), '"one more"');
    assert.equal(pieces.size, 1);
  });
});
