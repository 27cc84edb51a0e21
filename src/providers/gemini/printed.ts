import type { Json } from '../../core/json.ts';

/** As JSON; null for what is nested so deep that it can be parsed, but not printed again. */
export function printed(value: Json): string | null {
  try {
    return JSON.stringify(value);
  } catch {
    return null;
  }
}
