/** How long clients may take. Milliseconds. */
export interface ListenerLimits {
  /** To send the headers of a request. */
  headers: number;
  /** To send a whole request. */
  request: number;
  /** How often the two above are looked at. */
  checkEvery: number;
  /** Without a request, on a connection that is kept. */
  keepAlive: number;
  /** To send the rest of a body that is not wanted any more. */
  linger: number;
  /** To take some of what is waiting for them; of a whole answer, to take the first `AT_ONCE` bytes. */
  unread: number;
}

/**
 * Of a whole answer: nearly all are shorter. One in words would be a quarter of a million tokens; longer are those with pictures, or with thousands of
 * embeddings. Bytes.
 */
export const AT_ONCE = 1024 * 1024;

/** What goes beyond that is taken at this rate at least, half a megabit a second: the line of a poor mobile phone. Bytes a millisecond. */
const SLOWEST = (64 * 1024) / 1000;

/** How long a client may take over an answer of so many bytes, however steadily it takes some. Milliseconds. */
export function timeToTake(bytes: number, unread: number): number {
  return unread + Math.max(0, bytes - AT_ONCE) / SLOWEST;
}

export const USUAL_LIMITS: ListenerLimits = {
  headers: 15_000,
  request: 60_000,
  checkEvery: 5_000,
  // Longer than load balancers keep theirs, which must not find one just closed: 60 s are usual, and Google's has 10 minutes.
  keepAlive: 620_000,
  linger: 5_000,
  unread: 60_000,
};
