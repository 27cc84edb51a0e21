import type { Usage } from '../../core/usage.ts';
import type { Output } from '../../providers/openai/output.ts';

/**
 * How a target is asked to go on with an answer. `prefill`: what was told stands as the beginning of its own; `again`: it is asked for all of it, and what
 * was told is left out of what it says, as long as that is the same.
 */
export type ContinueHow = 'prefill' | 'again';

/** What a target brought to an answer that others had begun. */
export interface Contribution {
  readonly how: ContinueHow;
  /** All that the target wrote. */
  readonly heard: Readonly<Output>;
  /** What of it went to the client: the rest was told before. */
  readonly passed: Readonly<Output>;
}

/** Tokens of what a target wrote, by its own report. */
export interface Shares {
  /** That went to the client. */
  passed: number;
  /** That the client had been told before, its thoughts not counted. */
  told: number;
}

/** Thoughts, which the client is told once at most, are in neither share. Null: it did not say how much it wrote. */
export function sharesOf({ heard, passed }: Contribution, reported: Usage | null): Shares | null {
  if (reported === null || reported.output <= 0) return null;
  const visible = Math.max(0, reported.output - reported.reasoning);
  // Where the report does not tell thoughts apart, they are in the number.
  const all = reported.reasoning > 0 ? heard.characters - heard.reasoning : heard.characters;
  const text = heard.characters - heard.reasoning;
  if (all <= 0) return { passed: 0, told: 0 };
  const part = (characters: number) => Math.round((visible * characters) / all);
  const mine = passed.characters === 0 ? 0 : Math.max(1, part(passed.characters));
  return { passed: mine, told: Math.max(0, part(text) - mine) };
}
