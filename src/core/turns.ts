/** Up to here, all that is done with a body before it is sent takes a few milliseconds. Bytes. */
const LARGE = 1024 * 1024;

/** What is done with a large body is done in steps, between which others have their turn: none of them takes longer than parsing it. */
export function isLarge(body: Buffer): boolean {
  return body.length > LARGE;
}

/** Resolves when all that has come meanwhile has been dealt with. */
export function othersTurn(): Promise<void> {
  return new Promise((resolve) => {
    setImmediate(resolve);
  });
}
