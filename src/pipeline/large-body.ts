import { lookOverAhead } from '../core/json-body.ts';
import { othersTurn } from '../core/turns.ts';

export { isLarge, othersTurn } from '../core/turns.ts';

/** The first step: what `read` would find out before it parses. What is wrong with the body, `read` says. */
export function lookOverLarge(body: Buffer): Promise<void> {
  try {
    lookOverAhead(body);
  } catch {
    // `read` comes upon it again, and knows how to tell the client.
  }
  return othersTurn();
}
