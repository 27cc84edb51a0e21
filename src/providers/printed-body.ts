import type { JsonObject } from '../core/json.ts';
import type { Changes } from '../core/json-body.ts';
import { Printing } from '../core/json-print.ts';
import type { Ask, Prepared } from './adapter.ts';

/** A body that was made of the client's: printed at once, or in steps where the client's is large. */
export function printedBody(
  { body }: Pick<Ask, 'body'>,
  value: JsonObject,
): Pick<Prepared, 'body' | 'printing'> {
  if (!body.isLarge) return { body: [Buffer.from(JSON.stringify(value))] };
  const printing = new Printing(value);
  return { body: printing.parts, printing };
}

/** The client's body with some of its members changed: see `JsonBody.with`. In steps where it is large. */
export function changedBody(
  { body }: Pick<Ask, 'body'>,
  changes: Changes,
): Pick<Prepared, 'body' | 'printing'> {
  if (!body.isLarge) return { body: body.with(changes) };
  const printing = body.inSteps(changes);
  return { body: printing.parts, printing };
}
