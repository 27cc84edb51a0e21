/**
 * What the gateways have last agreed on of one upstream. `seq` grows with each word, over all upstreams. `ours`: this gateway said it first.
 */
export type Word = { id: string; seq: number; ours: boolean } & (
  | { state: 'closed' }
  /** `leftMs`: of the open period, as of now; 0 = it is over. `openings`: since it was last closed, starting at 1. */
  | { state: 'open'; leftMs: number; openings: number }
);

/** An opening, as one gateway tells the others. */
export interface Opening {
  /** On the clock's time. */
  until: number;
  openings: number;
  /** The word that the probe which failed came after: nothing is opened if there has been another since. Null: tries were counted. */
  after: number | null;
}

/** A probe that is asked for. */
export interface ProbeClaim {
  /** How many there may be at a time, over all gateways. */
  probes: number;
  openings: number;
  /** The last word that was heard. */
  after: number;
}

/** `seq`: the word that it is granted or refused by; null: nobody could be asked, and it is granted for that. */
export type Claimed = { granted: boolean; seq: number | null };

/** One upstream's place on the board, as its breaker sees it. Nothing here throws or rejects. */
export interface BoardPlace {
  /** False: each gateway goes on by itself. */
  readonly reachable: boolean;
  /** The last word that opened it, if it has not been closed since. */
  known(): Word | null;
  opened(opening: Opening): void;
  /** A probe succeeded that came after this word; nothing is closed if there has been another since. */
  closed(after: number): void;
  /** News that comes with the answer has been heard before it resolves. A probe that is granted is held until a new word, or `released`. */
  claim(claim: ProbeClaim): Promise<Claimed>;
  /** Of a probe, nothing was learned: another one may be made in its place. */
  released(): void;
}

/** Where gateways tell each other which upstreams are to be left alone. */
export interface BreakerBoard {
  /** `id`: asked at each use, since the number in it can change with a reload. */
  place(id: () => string): BoardPlace;
  /** There is one listener. It may hear a word twice, and a gateway hears its own. */
  listen(heard: (word: Word) => void): void;
}
