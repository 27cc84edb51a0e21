/** What is tried: clients, what they ask and how long they stay, and upstreams that do as they like. */
import fc from 'fast-check';
import { CLIENTS, type Client } from '../native/clients.ts';

/** What a body is made from. */
export interface Asked {
  client: Client;
  streamed: boolean;
  /** A place in MODELS. */
  model: number;
}

export interface RequestPlan extends Asked {
  /** What several ask, by its place; null: something of its own. */
  common: number | null;
  tenant: number;
  gateway: number;
  question: number;
  /** Under which `Idempotency-Key` it asks what belongs to that; null: under none. */
  key: number | null;
  /** It has a key, and asks something else all the same. */
  ownBody: boolean;
  resume: boolean;
  cacheControl: string | null;
  conversation: number;
  /** Milliseconds after the others began. */
  start: number;
  leaves: Leaving | null;
  /** It comes back for the rest, if it may. */
  back: boolean;
}

/** After so many milliseconds, or after so many events. */
export type Leaving = { ms: number } | { events: number };

export const FAULTS = [
  'none',
  '429',
  '429 with a wait',
  '500',
  '503',
  'no streams now',
  'reset',
  'silence',
  'headers, then silence',
  'cut',
  'reset in the middle',
  'stall',
  'error in it',
  'error event',
  'no finish',
  'plain',
] as const;
export type Fault = (typeof FAULTS)[number];

export interface Behaviour {
  fault: Fault;
  /** After so many events. */
  at: number;
  /** Lengths of the pieces that the text comes in. */
  pieces: number[];
  /** Which of two answers that begin alike. */
  other: boolean;
  /** Milliseconds before the answer begins, and before each of its events. */
  slow: number;
  trickle: number;
  /** What it does with an assistant message at the end. */
  prefill: 'goes on' | 'refuses' | 'repeats';
  usage: boolean;
}

export interface Plan {
  requests: RequestPlan[];
  /** What several ask; the first of these belong to keys, too. */
  common: Asked[];
  /** Of the upstreams' answers, in the order in which they are asked, over and over. */
  behaviours: Behaviour[];
}

/** What several of a run ask, and how many keys there are. */
const COMMON = 4;
const KEYS = 2;

const mostly = <T>(usual: T, ...others: T[]): fc.Arbitrary<T> =>
  fc.oneof(
    { weight: 3, arbitrary: fc.constant(usual) },
    { weight: 1, arbitrary: fc.constantFrom(...others) },
  );

const leaving: fc.Arbitrary<Leaving> = fc.oneof(
  fc.record({ ms: fc.nat(300) }),
  fc.record({ events: fc.nat(12) }),
);

const behaviour: fc.Arbitrary<Behaviour> = fc.record({
  fault: fc.oneof(
    { weight: 2, arbitrary: fc.constant<Fault>('none') },
    { weight: 3, arbitrary: fc.constantFrom(...FAULTS) },
  ),
  at: fc.nat(14),
  pieces: fc.array(fc.integer({ min: 1, max: 30 }), { minLength: 1, maxLength: 6 }),
  other: fc.nat(7).map((n) => n === 0),
  slow: mostly(0, 20, 60, 120),
  trickle: mostly(0, 2, 10),
  prefill: fc.constantFrom('goes on', 'goes on', 'refuses', 'repeats'),
  usage: fc.nat(7).map((n) => n > 0),
});

/** So many times as often as not. */
const orNull = <T>(often: number, arbitrary: fc.Arbitrary<T>): fc.Arbitrary<T | null> =>
  fc.oneof({ weight: often, arbitrary }, { weight: often === 1 ? 2 : 1, arbitrary: fc.constant(null) });

/** Of so many models; a run has so many requests at most. */
export function plans(models: number, most: number): fc.Arbitrary<Plan> {
  const asked = {
    client: fc.constantFrom(...CLIENTS),
    streamed: mostly(true, false),
    model: fc.nat(models - 1),
  };
  const request = fc.record({
    ...asked,
    common: orNull(4, fc.nat(COMMON - 1)),
    tenant: fc.constantFrom(0, 0, 1, 2),
    gateway: fc.nat(1),
    question: mostly(0, 1),
    key: orNull(1, fc.nat(KEYS - 1)),
    ownBody: fc.nat(9).map((n) => n === 0),
    resume: fc.boolean(),
    cacheControl: mostly<string | null>(null, 'no-cache', 'no-store', 'max-age=1'),
    conversation: fc.nat(3),
    start: fc.constantFrom(0, 0, 20, 80, 200, 400),
    leaves: orNull(1, leaving),
    back: fc.boolean(),
  });
  return fc.record({
    requests: fc.array(request, { minLength: Math.ceil(most * 0.75), maxLength: most, size: 'max' }),
    common: fc.array(fc.record(asked), { minLength: COMMON, maxLength: COMMON }),
    behaviours: fc.array(behaviour, { minLength: 25, maxLength: 40, size: 'max' }),
  });
}
