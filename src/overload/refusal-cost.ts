/** Reading over so much of a body takes about as long as refusing a request without one. Bytes. */
const READ_OVER_FOR_ONE = 20_000;

/** What a refusal costs, in refusals of requests without a body. `bytes`: of its body, which are read over. */
export function refusalCost(bytes: number): number {
  return 1 + Math.floor(bytes / READ_OVER_FOR_ONE);
}
