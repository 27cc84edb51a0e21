import type { Cancellation } from '../core/cancellation.ts';
import { othersTurn } from '../core/turns.ts';
import { type Prepared, Unsupported } from '../providers/adapter.ts';

/** Brings a call's body to its end, where it is so large that this takes several steps. */
export async function printLarge<Call extends { prepared: Prepared }>(
  call: Call,
  cancellation: Cancellation,
): Promise<Call> {
  const { printing, ...prepared } = call.prepared;
  if (printing === undefined) return call;
  do {
    await othersTurn();
    if (cancellation.reason !== null) throw new Unsupported('messages', 'Nobody waits for them any more.');
  } while (printing.step());
  await othersTurn();
  return { ...call, prepared };
}
