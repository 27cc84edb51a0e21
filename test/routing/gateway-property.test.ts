import assert from 'node:assert/strict';
import { it } from 'node:test';
import fc from 'fast-check';
import { startGateway } from '../support/gateway.ts';
import {
  apiError,
  chatAnswer,
  htmlPage,
  plain,
  reset,
  type Script,
  startUpstream,
} from '../support/upstream.ts';
import { drawnFrom, draws, leavesOf, trees } from './arbitrary.ts';
import { type End, expectedStory, expectedVerdict, type Leaf, type Tree } from './model.ts';
import { fails, OK } from './run.ts';

/** How a target may behave: what the stand-in sends, and what the contract calls it. A word of it is part of the model's name. */
const BEHAVIOURS: Readonly<Record<string, { sends: Script; end: End }>> = {
  ok: { sends: chatAnswer({ content: 'yes' }), end: OK },
  s400: { sends: apiError(400, { code: 'invalid_value' }), end: fails('invalid_request', 400) },
  s422: { sends: apiError(422), end: fails('invalid_request', 422) },
  long: {
    sends: apiError(400, { code: 'context_length_exceeded' }),
    end: fails('context_too_long', 400),
  },
  filtered: { sends: apiError(400, { code: 'content_filter' }), end: fails('content_filtered', 400) },
  s401: { sends: apiError(401), end: fails('credentials_refused', 401, 300_000) },
  s402: { sends: apiError(402), end: fails('out_of_credit', 402, 300_000) },
  unknown: { sends: apiError(404, { code: 'model_not_found' }), end: fails('target_misconfigured', 404) },
  s429: { sends: apiError(429), end: fails('rate_limited', 429, 1000) },
  late429: { sends: apiError(429, {}, { 'retry-after': '70' }), end: fails('rate_limited', 429, 70_000) },
  s500: { sends: apiError(500), end: fails('server_error', 500) },
  s503: { sends: apiError(503), end: fails('overloaded', 503) },
  s529: { sends: apiError(529), end: fails('overloaded', 529) },
  html: { sends: htmlPage(200), end: fails('broken_body', null) },
  inside: {
    sends: plain({ json: { error: { message: 'busy', code: 503 } } }),
    end: fails('overloaded', 503),
  },
  reset: { sends: reset(), end: fails('connection_failed', null) },
};

const leaf: fc.Arbitrary<Leaf> = fc.constantFrom(...Object.keys(BEHAVIOURS)).map((name) => ({
  id: name,
  first: BEHAVIOURS[name]?.end ?? OK,
  second: OK,
  takes: 0,
  patience: 0,
}));

it('the gateway tries what the contract says, in that order, and tells the client what came of it', async (t) => {
  const upstream = await startUpstream();
  t.after(() => upstream.close());
  upstream.reply((request) => BEHAVIOURS[String(request.json()['model'])]?.sends ?? apiError(500));

  await fc.assert(
    fc.asyncProperty(trees(leaf), draws, async (tree, drawn) => {
      const expected = expectedStory(tree, drawnFrom(drawn), Infinity);
      const before = upstream.requests.length;
      const gateway = await startGateway(configFor(tree, upstream.url), { chance: drawnFrom(drawn) });
      try {
        const response = await gateway.chat();
        const body = (await response.json()) as { error?: { code: string }; choices?: unknown[] };
        const tried = upstream.requests.slice(before).map(({ headers }) => headers['x-leaf']);
        assert.deepEqual(tried, expected.calls);
        const verdict = expected.answeredBy === null ? expectedVerdict(expected) : null;
        assert.equal(response.status, verdict?.status ?? 200);
        assert.equal(
          response.headers.get('x-spillway-target'),
          expected.answeredBy ?? verdict?.relayedFrom ?? null,
        );
        assert.equal(response.headers.get('x-spillway-attempts'), String(expected.calls.length));
        if (typeof verdict?.code === 'string') assert.equal(body.error?.code, verdict.code);
        const seconds = verdict?.retryAfterMs == null ? null : String(verdict.retryAfterMs / 1000);
        assert.equal(response.headers.get('retry-after'), seconds);
        const shouldRetry = verdict?.shouldRetry == null ? null : String(verdict.shouldRetry);
        assert.equal(response.headers.get('x-should-retry'), shouldRetry);
        const [line] = await gateway.ended(1);
        assert.deepEqual(
          line?.tries.map(({ target }) => target),
          expected.calls,
        );
      } finally {
        await gateway.close();
      }
    }),
    { numRuns: 60 },
  );
});

/** Each leaf is a provider of its own, so that none shares a key's cooldown with another; the stand-in is told which. */
function configFor(tree: Tree, url: string): object {
  const providers = leavesOf(tree).map(({ id }) => [
    id.split('/')[0],
    { adapter: 'vllm', base_url: url, headers: { 'x-leaf': id } },
  ]);
  return {
    providers: Object.fromEntries(providers),
    defaults: { retry: { attempts: 0 } },
    models: { m: nodeFor(tree) },
  };
}

function nodeFor(tree: Tree): object {
  if (tree.mode === 'target') {
    const [provider, model] = tree.leaf.id.split('/');
    return { provider, model };
  }
  const targets = tree.children.map(nodeFor);
  switch (tree.mode) {
    case 'single':
    case 'fallback':
      return { strategy: strategy(tree.mode, tree.codes), targets };
    case 'loadbalance':
      return {
        strategy: strategy(tree.mode, tree.codes),
        targets: targets.map((child, i) => ({ weight: tree.weights[i], ...child })),
      };
    case 'conditional': {
      const conditions = tree.conditions.map(({ matches, child }) => ({
        query: { 'params.model': { [matches ? '$eq' : '$ne']: 'm' } },
        // biome-ignore lint/suspicious/noThenProperty: the configuration's word
        then: `child ${child}`,
      }));
      const fallback = tree.default === null ? {} : { default: `child ${tree.default}` };
      return {
        strategy: { mode: 'conditional', conditions, ...fallback },
        targets: targets.map((child, i) => ({ name: `child ${i}`, ...child })),
      };
    }
  }
}

function strategy(mode: string, codes: number[] | null): object {
  return codes === null ? { mode } : { mode, on_status_codes: codes };
}
