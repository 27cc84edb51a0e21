import { z } from 'zod';
import { parseDuration } from '../core/units.ts';
import { breakerSchema, retrySchema, timeoutsSchema } from '../resilience/schema.ts';
import { choice, count, duration, mark, partialOf, read } from '../schema/kit.ts';
import type { HedgeAfter } from './tree.ts';

export const BALANCE_WORDS = ['weight', 'latency', 'least_busy', 'cost', 'headroom'] as const;

/** Of the times to first content that were measured. */
const QUANTILES = { p50: 0.5, p75: 0.75, p90: 0.9, p95: 0.95, p99: 0.99 } as const;

/** A header's name, or a path in the body. */
const STICKY = /^[A-Za-z0-9_][\w.-]{0,127}$/;

const hedgeSchema = z.strictObject({
  after: read(
    'a duration such as 2s, or p50, p75, p90, p95, p99 of the measured time to first content',
    'duration or `p95`',
    (value): HedgeAfter | null => {
      if (typeof value !== 'string') return null;
      if (Object.hasOwn(QUANTILES, value)) return { quantile: QUANTILES[value as keyof typeof QUANTILES] };
      const ms = parseDuration(value);
      return ms === null || ms === 0 ? null : { ms };
    },
  )
    .prefault('p95')
    .describe('how long the first target may be silent before the next is started too'),
  max_extra: z
    .number()
    .min(0)
    .max(1)
    .prefault(0.05)
    .describe('the share of requests for which a second target may be started'),
});

const strategySchema = z.strictObject({
  mode: choice(['single', 'fallback', 'loadbalance', 'conditional']).describe('how a target is chosen'),
  on_status_codes: z
    .array(count(100, 599))
    .optional()
    .describe(
      'the statuses that go on to the next target, the others end the request; left out = what helps',
    ),
  conditions: z
    .array(
      z.strictObject({
        query: z.record(z.string(), z.unknown()).describe('what has to hold'),
        // biome-ignore lint/suspicious/noThenProperty: the file's word; a schema is never awaited
        then: z.string().describe('the name of the target to take'),
      }),
    )
    .optional()
    .describe('`conditional`: the first that matches decides'),
  default: z.string().optional().describe('`conditional`: the name of the target to take if none matches'),
  hedge: hedgeSchema
    .optional()
    .describe('`fallback`: the next target is started too when the first is slow; left out = never'),
  by: choice(BALANCE_WORDS)
    .optional()
    .describe(
      "`loadbalance`: what the first choice goes by; `latency` = the faster of two drawn, `least_busy` = fewest requests under way, `cost` = cheapest for the request, `headroom` = most left of the provider's rate limits; left out = `weight`",
    ),
  sticky: read(
    'the name of a header, or of a field of the body such as `metadata.user_id`',
    'text',
    (value): string | null => (typeof value === 'string' && STICKY.test(value) ? value : null),
  )
    .optional()
    .describe(
      '`loadbalance`: requests with the same value of this header, or else this field of the body, keep to one target as long as it can serve',
    ),
});

export const cacheSchema = z.strictObject({
  mode: choice(['none', 'exact'])
    .prefault('none')
    .describe('`exact`: whole answers are kept for requests that mean the same'),
  ttl: duration().prefault('1h').describe('how long an answer is kept'),
  shared: z.boolean().prefault(false).describe('true: what one tenant was answered may answer another'),
  markers: choice(['none', 'auto'])
    .prefault('none')
    .describe(
      '`auto`: the provider is told what of a prompt to keep (Anthropic, Bedrock), where the client does not say',
    ),
});

/** What a node says of itself, and its children inherit; `defaults` says it for all. */
const inherited = {
  retry: partialOf(retrySchema).optional().describe('when and how the same target is tried again'),
  timeouts: partialOf(timeoutsSchema).optional().describe('how long anything may take'),
  breaker: partialOf(breakerSchema).optional().describe('when an upstream is left alone'),
  override_params: z
    .record(z.string(), z.unknown())
    .optional()
    .describe('parameters put over what the client sent; `null` removes one'),
  mid_stream: choice(['error', 'continue'])
    .optional()
    .describe(
      'when a stream breaks after content was sent; left out = `error`: the client is told; `continue`: the answer goes on from the next target',
    ),
  cache: partialOf(cacheSchema).optional().describe('what need not be worked out again'),
  strict_params: z
    .boolean()
    .optional()
    .describe('true: what a target cannot take is an error; left out = `false`: it is dropped, and named'),
};

export const defaultsSchema = z.strictObject(inherited).prefault({});

/** A node of a tree as the file writes it: with `targets` it chooses among them, without it is a target. */
export interface NodeFile extends z.output<typeof ownSchema> {
  targets?: NodeFile[] | undefined;
}

const ownSchema = z.strictObject({
  name: z.string().min(1).max(256).optional().describe('what conditions call it'),
  weight: z
    .number()
    .min(0)
    .optional()
    .describe('its share under `loadbalance`; 0 = never first, left out = 1'),
  strategy: strategySchema.optional().describe('how one of `targets` is chosen'),
  provider: z.string().optional().describe('the provider, by its name under `providers`'),
  virtual_key: z.string().optional().describe('another name for `provider`'),
  model: z
    .string()
    .min(1)
    .optional()
    .describe('short for `override_params.model`; without either, the name under `models`'),
  prefill: z
    .boolean()
    .optional()
    .describe(
      'does this model go on from an assistant prefill? left out = what the table of capabilities says',
    ),
  ...inherited,
});

export const nodeSchema: z.ZodType<NodeFile> = mark(
  z.strictObject({
    ...ownSchema.shape,
    targets: z
      .lazy(() => z.array(nodeSchema))
      .optional()
      .describe('the nodes below, each with these same keys'),
  }),
  { form: 'node' },
);

export const modelsSchema = z.record(z.string(), nodeSchema).prefault({});
