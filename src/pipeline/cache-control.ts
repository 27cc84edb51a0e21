/** What a client says of caches in `cache-control`. */
export interface CacheControl {
  /** It may be given an answer that is kept, or that another request is being given. */
  mayLook: boolean;
  /** Its answer may be kept. */
  mayKeep: boolean;
  /** An answer that was kept longer ago will not do. Seconds. */
  maxAge: number;
}

/** Words that say nothing of this are passed over. */
export function readCacheControl(header: string | undefined): CacheControl {
  const words = (header ?? '').toLowerCase().split(',');
  const control = { mayLook: true, mayKeep: true, maxAge: Infinity };
  for (const word of words.map((one) => one.trim())) {
    const seconds = /^max-age="?(\d+)"?$/.exec(word)?.[1];
    if (word === 'no-store') control.mayKeep = false;
    if (word === 'no-cache' || word === 'no-store') control.mayLook = false;
    if (seconds !== undefined) control.maxAge = Math.min(control.maxAge, Number(seconds));
  }
  // Nothing is younger than that.
  if (control.maxAge === 0) control.mayLook = false;
  return control;
}
