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
  /** To take some of what is waiting for them. */
  unread: number;
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
