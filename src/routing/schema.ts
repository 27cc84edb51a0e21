import { z } from 'zod';
import { breakerSchema, retrySchema, timeoutsSchema } from '../resilience/schema.ts';
import { choice, count, mark, notYet, partialOf } from '../schema/kit.ts';

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
  hedge: notYet(
    z.unknown().describe('`{ after: p95, max_extra: 0.05 }`: ask a second target when the first is slow'),
  ),
  by: notYet(z.string().describe('`loadbalance`: weight, latency, least_busy, cost or headroom')),
  sticky: notYet(z.string().describe('`loadbalance`: the header whose value keeps to one target')),
});

export const cacheSchema = z.strictObject({
  mode: notYet(
    choice(['none', 'exact']).prefault('none').describe('`exact`: answers are kept for equal requests'),
  ),
  ttl: notYet(z.string().prefault('1h').describe('how long an answer is kept')),
  shared: notYet(z.boolean().prefault(false).describe('true: between tenants')),
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
  mid_stream: choice(['error'], ['continue'])
    .optional()
    .describe('when a stream breaks after content was sent; left out = `error`: the client is told'),
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
  prefill: notYet(z.boolean().describe('does this model go on from an assistant prefill?')),
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
