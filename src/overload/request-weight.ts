/** Reading so much of a body takes about as long as all else that it takes to refuse a request. Bytes. */
const BYTES_FOR_ONE = 20_000;

/** What a request costs, to refuse or to have waiting, in requests without a body. `bytes`: of its body. */
export function requestWeight(bytes: number): number {
  return 1 + Math.floor(bytes / BYTES_FOR_ONE);
}
