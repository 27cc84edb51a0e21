import type { JsonObject } from '../core/json.ts';
import { Printing } from '../core/json-print.ts';
import { isLarge } from '../core/turns.ts';
import type { Ask, Prepared } from './adapter.ts';

/** A body that was made of the client's: printed at once, or in steps where the client's is large. */
export function printedBody(
  { body }: Pick<Ask, 'body'>,
  value: JsonObject,
): Pick<Prepared, 'body' | 'printing'> {
  if (!isLarge(body.bytes)) return { body: [Buffer.from(JSON.stringify(value))] };
  const printing = new Printing(value);
  return { body: printing.parts, printing };
}
