import type { Presenter } from '../../chat/presenter.ts';
import type { Transcript } from '../../chat/transcript.ts';
import type { Usage } from '../../core/usage.ts';
import type { TargetSettings } from '../../routing/target.ts';
import type { Contribution } from './contribution.ts';

/** What an answer took that several targets wrote. */
export interface Total {
  usage: Usage;
  /** US dollars, each part at the price of its target; null: not known, or not to be told. */
  cost: number | null;
}

/** An answer that broke after its client had been told some of it. */
export interface Continuing {
  /** What the client has; it does not change any more. */
  readonly told: Transcript;
  /** What puts the whole answer into the client's words, whoever writes it; null: chunks are the client's words. */
  readonly presenter: Presenter | null;
  /** How many tokens were told, as estimated. */
  readonly toldTokens: number;
  /** A target that was asked for the whole answer gave another one. */
  diverged: boolean;
  /** What the answer took so far, with what this target has brought. */
  total(target: TargetSettings, part: Contribution, reported: Usage): Total;
}
