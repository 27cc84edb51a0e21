/**
 * What a busy machine may add to time by the wall, in the few tests that cannot go by a clock of their own: what they guard against takes longer by far, or
 * never ends. Milliseconds.
 */
export const HICCUP = 5_000;
