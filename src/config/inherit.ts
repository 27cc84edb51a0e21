import type { z } from 'zod';
import { isJsonObject, type Json, type JsonObject } from '../core/json.ts';
import { breakerSchema, retrySchema, timeoutsSchema } from '../resilience/schema.ts';
import { cacheSchema, type NodeFile } from '../routing/schema.ts';
import { formatPath, type Path } from './problem.ts';

/** Everything that a node hands down, in the file's own words. */
export interface Inheritance {
  provider: string | null;
  overrideParams: JsonObject;
  retry: z.output<typeof retrySchema>;
  timeouts: z.output<typeof timeoutsSchema>;
  breaker: z.output<typeof breakerSchema>;
  cache: z.output<typeof cacheSchema>;
  strictParams: boolean;
  midStream: 'error' | 'continue';
  /** The same shape, with the place in the file that each value came from instead of the value; `built in` for our own. */
  origins: JsonObject;
}

const RETRY = withoutUndefined(retrySchema.parse({})) as z.output<typeof retrySchema>;
const TIMEOUTS = withoutUndefined(timeoutsSchema.parse({})) as z.output<typeof timeoutsSchema>;
const BREAKER = withoutUndefined(breakerSchema.parse({})) as z.output<typeof breakerSchema>;
const CACHE = withoutUndefined(cacheSchema.parse({})) as z.output<typeof cacheSchema>;

/** What holds where the file says nothing. */
export const BUILT_IN: Inheritance = {
  provider: null,
  overrideParams: {},
  retry: RETRY,
  timeouts: TIMEOUTS,
  breaker: BREAKER,
  cache: CACHE,
  strictParams: false,
  midStream: 'error',
  origins: {
    retry: label(RETRY, 'built in'),
    timeouts: label(TIMEOUTS, 'built in'),
    breaker: label(BREAKER, 'built in'),
    cache: label(CACHE, 'built in'),
    strict_params: 'built in',
    mid_stream: 'built in',
    override_params: {},
  },
};

/** What holds below a node (or `defaults`) that stands at `path`: maps key by key, the nearer wins; lists replace. */
export function inherit(above: Inheritance, node: Partial<NodeFile>, path: Path): Inheritance {
  const provider = node.provider ?? node.virtual_key;
  const params = { ...(node.override_params as JsonObject | undefined) };
  if (node.model !== undefined) params['model'] = node.model;
  const place = formatPath(path);
  const { retry, timeouts, breaker, cache, strict_params, mid_stream } = node;
  const said = withoutUndefined({ retry, timeouts, breaker, cache, strict_params, mid_stream });
  const origins = label(said, place) as JsonObject;
  // A parameter is taken whole: half of one response format and half of another would be neither.
  origins['override_params'] = Object.fromEntries(Object.keys(params).map((key) => [key, place]));
  if (provider !== undefined) origins['provider'] = place;
  return {
    provider: provider ?? above.provider,
    overrideParams: { ...above.overrideParams, ...params },
    retry: merged(above.retry, said['retry']),
    timeouts: merged(above.timeouts, said['timeouts']),
    breaker: merged(above.breaker, said['breaker']),
    cache: merged(above.cache, said['cache']),
    strictParams: strict_params ?? above.strictParams,
    midStream: mid_stream ?? above.midStream,
    origins: merge(above.origins, origins) as JsonObject,
  };
}

/** The very same object where nothing is said: thousands of targets may inherit it. `merge` keeps the shape of what it merges into. */
function merged<T extends object>(above: T, nearer: Json | undefined): T {
  return merge(above as unknown as Json, nearer) as unknown as T;
}

function merge(above: Json, nearer: Json | undefined): Json {
  if (nearer === undefined) return above;
  if (!isJsonObject(above) || !isJsonObject(nearer)) return nearer;
  const merged: JsonObject = { ...above };
  for (const [key, value] of Object.entries(nearer)) {
    const base = Object.hasOwn(above, key) ? above[key] : undefined;
    merged[key] = base === undefined ? value : merge(base, value);
  }
  return merged;
}

/** The same maps with `place` at every leaf. */
function label(value: Json, place: string): Json {
  if (!isJsonObject(value)) return place;
  return Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, label(inner, place)]));
}

/** Keys that say nothing are as good as absent. */
function withoutUndefined(value: object): JsonObject {
  const entries = Object.entries(value).filter(([, inner]) => inner !== undefined);
  return Object.fromEntries(
    entries.map(([key, inner]) => [key, isJsonObject(inner) ? withoutUndefined(inner) : (inner as Json)]),
  );
}
