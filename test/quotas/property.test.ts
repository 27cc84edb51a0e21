import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import type { RequestLine } from '../support/gateway.ts';
import { FINISH, ROLE, text, usage } from '../support/rig.ts';
import {
  apiError,
  chatAnswer,
  close,
  Gate,
  pauseUntil,
  reset,
  type Script,
  type StreamItem,
  stream,
  type UpstreamRequest,
} from '../support/upstream.ts';
import { keyOf, openScene, PRICES, type Scene, took } from './kit.ts';

/** One request and how it ends, whatever else is under way. */
interface Plan {
  key: 'ci' | 'laptop';
  model: 'm' | 'both';
  end: 'reported' | 'unreported' | 'noughts' | 'failed' | 'faulty' | 'cut' | 'left before' | 'left amidst';
  stream: boolean;
  prompt: number;
  completion: number;
  maximum: number | null;
}

const plan: fc.Arbitrary<Plan> = fc.record({
  key: fc.constantFrom('ci', 'laptop'),
  model: fc.constantFrom('m', 'both'),
  end: fc.constantFrom(
    'reported',
    'reported',
    'reported',
    'unreported',
    'noughts',
    'failed',
    'faulty',
    'cut',
    'left before',
    'left amidst',
  ),
  stream: fc.boolean(),
  prompt: fc.integer({ min: 1, max: 300 }),
  completion: fc.integer({ min: 1, max: 300 }),
  maximum: fc.option(fc.integer({ min: 1, max: 300 })),
});

const session = fc.array(
  fc.record({
    plans: fc.array(plan, { minLength: 1, maxLength: 12 }),
    /** Milliseconds until the next ones; too little for anything to come back. */
    pause: fc.integer({ min: 0, max: 400_000 }),
  }),
  { minLength: 1, maxLength: 4 },
);

/** Tight enough that some are refused, by one quota or the other. */
const QUOTAS = {
  quotas: [
    { limit: 40, of: 'requests', per: 'hour' },
    { limit: 20_000, of: 'tokens', per: 'hour' },
    { limit: 0.5, of: 'usd', per: 'day' },
    { limit: 8, of: 'concurrent' },
    { limit: 4000, of: 'input_tokens', per: 'month', models: ['both'] },
  ],
  keys: { ci: [{ limit: 9000, of: 'output_tokens', per: 'day' }], laptop: [] },
};

const MODELS = {
  both: {
    strategy: { mode: 'fallback' },
    targets: [
      { provider: 'a', model: 'up' },
      { provider: 'b', model: 'up-dear' },
    ],
  },
};

/** What the first upstream does with a request: some fail for the second one to answer. */
function answerOf(planOf: (request: UpstreamRequest) => Plan, gate: Gate, isLast: boolean) {
  return (request: UpstreamRequest): Script => {
    const { end, stream: streams, prompt, completion, model } = planOf(request);
    if (!isLast && model === 'both' && completion % 2 === 0) return apiError(503);
    const words = 'x'.repeat(prompt);
    switch (end) {
      case 'failed':
        return completion % 3 === 0 ? reset() : apiError(500);
      case 'faulty':
        return apiError(400);
      case 'left before':
        return pauseUntil(gate);
      case 'cut':
      case 'left amidst': {
        if (!streams) return end === 'cut' ? close() : pauseUntil(gate);
        const then = end === 'cut' ? close() : pauseUntil(gate);
        return stream([ROLE, text('begun'), text(words), then]);
      }
      default: {
        const counts = { reported: usage(prompt, completion), noughts: usage(0, 0), unreported: null };
        const reported = counts[end];
        if (streams) {
          const items: StreamItem[] = [ROLE, text(words), FINISH];
          return stream(reported === null ? items : [...items, reported]);
        }
        if (end === 'reported') return took(prompt, completion);
        return end === 'noughts' ? took(0, 0) : chatAnswer({ content: words, usage: null });
      }
    }
  };
}

/** Sends one request and sees it to its end, or leaves it. */
async function carryOut(scene: Scene, plan: Plan, id: string, arrived: () => Promise<void>): Promise<void> {
  const { key, model, stream: streams, end, maximum } = plan;
  const body = { model, stream: streams, user: id, ...(maximum === null ? {} : { max_tokens: maximum }) };
  const headers = { authorization: `Bearer ${keyOf(key)}`, 'x-request-id': id };
  const controller = new AbortController();
  const answer = scene.gateway.chat(body, headers, controller.signal);
  if (end === 'left before' || (end === 'left amidst' && !streams)) {
    // It is refused, or it has reached its upstream: either way its client does not wait for more.
    await Promise.race([arrived(), answer.catch(() => {})]);
    controller.abort();
    await answer.then((response) => response.text()).catch(() => {});
    return;
  }
  const response = await answer;
  if (response.status === 200 && end === 'left amidst') {
    const reader = response.body?.getReader();
    await reader?.read();
    await reader?.cancel();
    return;
  }
  await response.text();
}

function sumOf(lines: readonly RequestLine[], of: (line: RequestLine) => number | null | undefined): number {
  return lines.reduce((sum, line) => sum + (of(line) ?? 0), 0);
}

function nanodollars(dollars: number | null | undefined): number {
  return Math.round((dollars ?? 0) * 1e9);
}

describe('whatever becomes of requests', () => {
  it('quotas, ledger, log and metrics agree on what they took, and nothing stays reserved', async (t) => {
    await fc.assert(
      fc.asyncProperty(session, async (waves) => {
        const scene = await openScene(t, { ...QUOTAS, models: MODELS });
        const plans = new Map<string, Plan>();
        const arrivals = new Map<string, () => void>();
        const gate = new Gate();
        const planOf = (request: UpstreamRequest) => {
          const id = String(request.json()['user']);
          return plans.get(id) as Plan;
        };
        const noted = (how: (request: UpstreamRequest) => Script) => (request: UpstreamRequest) => {
          const script = how(request);
          // Of those that are left before their answer, where they have come to stay.
          if (script instanceof Function) arrivals.get(String(request.json()['user']))?.();
          return script;
        };
        scene.upstream.reply(noted(answerOf(planOf, gate, false)));
        scene.second.reply(noted(answerOf(planOf, gate, true)));
        let sent = 0;
        for (const { plans: wave, pause } of waves) {
          const all = wave.map((plan) => {
            const id = `request-${sent++}`;
            plans.set(id, plan);
            const arrived = new Promise<void>((resolve) => arrivals.set(id, resolve));
            return carryOut(scene, plan, id, () => arrived);
          });
          await Promise.all(all);
          await scene.lines(sent);
          scene.clock.advance(pause);
        }

        const lines = await scene.lines(sent);
        assert.equal(new Set(lines.map(({ id }) => id)).size, sent);
        const admitted = lines.filter(({ outcome }) => outcome !== 'refused');
        for (const line of lines) check(line, plans.get(line.id) as Plan);

        // Quotas say what the log says.
        const { quotas } = await scene.usage();
        assert.deepEqual(
          quotas.map(({ reserved }) => reserved),
          quotas.map(() => 0),
        );
        const ofBoth = admitted.filter(({ model }) => model === 'both');
        const ofKey = admitted.filter(({ key }) => key === 'ci');
        assert.deepEqual(
          quotas.map(({ of, used }) => (of === 'usd' ? nanodollars(used) : used)),
          [
            admitted.length,
            sumOf(admitted, ({ tokens }) => (tokens === null ? 0 : tokens.input + tokens.output)),
            sumOf(admitted, ({ cost_usd }) => nanodollars(cost_usd)),
            0,
            sumOf(ofBoth, ({ tokens }) => tokens?.input),
            sumOf(ofKey, ({ tokens }) => tokens?.output),
          ],
        );
        for (const { of, used, limit } of quotas) if (of === 'requests') assert.ok(used <= limit);

        // And so does the ledger.
        const rows = await scene.ledger();
        const total = (of: keyof (typeof rows)[number]) =>
          rows.reduce((sum, row) => sum + Number(row[of]), 0);
        assert.deepEqual(
          [
            total('requests'),
            total('tries'),
            total('input_tokens'),
            total('output_tokens'),
            nanodollars(total('cost_usd')),
          ],
          [
            admitted.length,
            sumOf(lines, ({ tries }) => tries.length),
            sumOf(admitted, ({ tokens }) => tokens?.input),
            sumOf(admitted, ({ tokens }) => tokens?.output),
            sumOf(admitted, ({ cost_usd }) => nanodollars(cost_usd)),
          ],
        );
        assert.equal(scene.upstream.requests.length + scene.second.requests.length, total('tries'));
        const refusals = [
          ...(await scene.gateway.metrics()).matchAll(/^spillway_quota_refusals_total.* (\d+)$/gm),
        ];
        assert.equal(
          refusals.reduce((sum, [, count]) => sum + Number(count), 0),
          lines.length - admitted.length,
        );
        gate.open();
      }),
      { numRuns: 25, endOnFailure: true },
    );
  });
});

/** Is this what such a request should come to? */
function check({ status, outcome, tokens, cost_usd, target }: RequestLine, plan: Plan): void {
  const { end, prompt, completion } = plan;
  const told = JSON.stringify({ plan, status, outcome, tokens });
  if (outcome === 'refused') {
    assert.deepEqual([status, tokens, cost_usd], [429, null, null], told);
    return;
  }
  const streams = plan.stream && (end === 'cut' || end === 'left amidst');
  if (
    end === 'failed' ||
    end === 'faulty' ||
    end === 'left before' ||
    (!plan.stream && (end === 'cut' || end === 'left amidst'))
  ) {
    assert.deepEqual([tokens, cost_usd], [null, null], told);
    return;
  }
  assert.ok(tokens !== null, told);
  if (end === 'reported') {
    assert.deepEqual([tokens.input, tokens.output, tokens.estimated], [prompt, completion, undefined], told);
  } else {
    assert.ok(tokens.estimated === true && tokens.input >= 1 && tokens.output >= 1, told);
  }
  if (!streams) assert.equal(outcome, 'ok', told);
  const rates = target === 'a/up' ? PRICES.up : PRICES['up-dear'];
  assert.equal(
    nanodollars(cost_usd),
    tokens.input * rates.in * 1000 + tokens.output * rates.out * 1000,
    told,
  );
}

describe('a thousand requests', () => {
  it('leave nothing reserved for anyone', async (t) => {
    const own = [
      { limit: 1e9, of: 'tokens', per: 'day' },
      { limit: 50, of: 'concurrent' },
    ];
    const scene = await openScene(t, { others: { busy: own } });
    scene.upstream.reply((request) =>
      request.json()['stream'] === true ? stream([ROLE, text('abcd'), FINISH, usage()]) : chatAnswer(),
    );
    let left = 1000;
    const worker = async () => {
      while (left-- > 0) {
        if (left % 3 === 0) await scene.streamed({}, 'busy');
        else assert.equal((await scene.ask({}, 'busy')).status, 200);
      }
    };
    await Promise.all(Array.from({ length: 25 }, worker));
    const [tokens, places] = (await scene.usage('busy')).quotas;
    assert.deepEqual([tokens?.used, tokens?.reserved], [21_000, 0]);
    assert.deepEqual([places?.reserved, places?.remaining], [0, 50]);
  });
});
