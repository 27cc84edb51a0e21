import type { Presenter } from '../chat/presenter.ts';
import type { Target } from './registry.ts';
import type { BegunStream } from './stream-roles.ts';
import type { PlainAnswer } from './whole-answer.ts';

/** `relayed`: in the client's own dialect, as the target wrote it; else a chat, or its chunks as `present` gave them. `dropped`: what the target could not take. */
export type Answer = { target: Target; relayed: boolean; dropped: readonly string[] } & (
  | { kind: 'plain'; answer: PlainAnswer }
  /** `presenter`: what the chunks were put into words by; null where the stream is relayed. */
  | { kind: 'stream'; stream: BegunStream; presenter: Presenter | null }
);
