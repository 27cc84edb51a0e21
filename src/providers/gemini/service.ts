import type { Conversation } from '../../chat/conversation.ts';
import type { JsonObject } from '../../core/json.ts';
import { countOf, dropSecondUser, nameOfUser, statesDefault } from '../unasked.ts';
import type { Home } from './home.ts';
import type { Limits } from './limits.ts';

/** OpenAI's tiers and Google's words for them; null = what is usual there. */
const TIERS: Readonly<Record<string, string | null>> = {
  auto: null,
  default: 'standard',
  flex: 'flex',
  priority: 'priority',
  fast: 'priority',
};

/** `standard`, `flex` or `priority`; null = not said. */
export function tierOf({ serviceTier }: Conversation, limits: Limits): string | null {
  if (serviceTier === null || statesDefault('service_tier', serviceTier)) return null;
  if (!limits.takes('service_tier')) return null;
  if (Object.hasOwn(TIERS, serviceTier)) return TIERS[serviceTier] ?? null;
  limits.drops.drop('service_tier', `There is no service tier '${serviceTier.slice(0, 50)}'.`);
  return null;
}

/** Google's documentation: 64 labels at most, keys and values of up to 63 of these characters. */
const MOST_LABELS = 64;
const LABEL_KEY = /^[a-z][a-z0-9_-]{0,62}$/;
const LABEL_VALUE = /^[a-z0-9_-]{0,63}$/;

/**
 * Metadata and user as labels. One that does not fit as it is makes no label: two users might become one on the bill.
 */
export function labelsOf(
  { metadata, user }: Conversation,
  request: JsonObject,
  { drops }: Limits,
  home: Home,
): { labels?: JsonObject } {
  const labels = new Map<string, string>();
  const add = (key: string, value: string) => {
    const isRoom = home.takesLabels && labels.size < MOST_LABELS && !labels.has(key);
    const fits = isRoom && LABEL_KEY.test(key) && LABEL_VALUE.test(value);
    if (fits) labels.set(key, value);
    return fits;
  };
  for (const [key, value] of Object.entries(metadata ?? {})) {
    if (!add(key, value)) drops.drop('metadata', 'Not all of it can be sent on as labels.');
  }
  if (countOf(request['metadata']) > Object.keys(metadata ?? {}).length)
    drops.drop('metadata', 'Labels are texts.');
  dropSecondUser(request, drops);
  if (user !== null && !add('user', user)) drops.drop(nameOfUser(request));
  return labels.size === 0 ? {} : { labels: Object.fromEntries(labels) };
}
