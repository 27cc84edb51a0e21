/** Markers that Anthropic and Bedrock take in one request; one more is a 400. */
export const MOST_MARKERS = 4;
/**
 * What is shorter is never kept, however it is marked. Tokens, with all that stands before: Anthropic's least (some of its models want 2048 or
 * 4096 of them, and pass over a marker that comes too soon without an error).
 */
export const SHORTEST_PREFIX = 1024;
/** User content from here on is worth a marker of its own. Tokens. */
export const LARGE_CONTENT = 10_000;
/** From a marker the provider looks back so many blocks, its own included, for what an earlier marker wrote. */
export const LOOKBACK = 20;

/** One block of a request, in the order in which the provider reads it: tools, system, messages. */
export interface Place {
  /** `content` and `result`: what a user says, and what a tool answered. */
  kind: 'tool' | 'system' | 'content' | 'result' | 'other';
  /** Which turn it is of, counted from 0; messages of one role in a row are one. -1: tools and system. */
  turn: number;
  role: 'user' | 'assistant' | null;
  /** Estimated. */
  tokens: number;
  /** It may carry a marker: no thoughts, no empty texts. */
  markable: boolean;
  /** Markers of the client's, on it or inside of it. */
  marks: number;
  /** One of them asks to be kept for an hour. */
  hour: boolean;
}

/** Of markers that we place: null = as long as the provider keeps it by itself. */
export type MarkerTtl = '1h' | null;

/** A marker of the client's for the whole request: the provider puts it on the last block that can carry one. */
export interface WholeMark {
  hour: boolean;
}

/**
 * Where markers are to be placed, by the index of the place. In a request with `k` markers of the client's, at most `4 - k`:
 *
 * 1. If the conversation is going to go on (it has tools, or has gone on already): the end of the latest user turn, be it tool results or a
 *    text, so that the next request finds all of this one.
 * 2. The end of the user turn before it, where the last request put its marker 1, if it is too far back to be found from there: so that this
 *    request finds what the last one wrote, however many calls and results came between.
 * 3. The last tool. 4. The last block of the system prompt. Both for other conversations with the same ones.
 * 5. Large user content, the largest first. 6. What 2 names even if it is near, if a marker is left: blocks may be counted otherwise there.
 *
 * So tools, system and large content come first in all that they compete for with each other, and never at the price of the next turn's hit.
 * A client's own marker stands for ours: one among the tools or in the system prompt for 3 and 4, one at the end of the request for 1.
 */
export function chooseMarkers(
  places: readonly Place[],
  whole: WholeMark | null,
): ReadonlyMap<number, MarkerTtl> {
  let left = MOST_MARKERS - (whole === null ? 0 : 1);
  for (const { marks } of places) left -= marks;
  const chosen = new Set<number>();
  if (left > 0) {
    const wide = longEnough(places);
    const all = [...wanted(places, whole !== null)];
    // What seems too short comes last: it costs nothing to be passed over, and a length is only estimated.
    for (const index of [...all.filter((at) => at >= wide), ...all.filter((at) => at < wide)]) {
      if (chosen.size === left) break;
      chosen.add(index);
    }
  }
  const hours = whole?.hour ? places.length : places.findLastIndex(({ hour }) => hour);
  // A longer time must not come after a shorter one. It costs nothing more: what stands before a marker is written for as long as that one says.
  return new Map([...chosen].sort((a, b) => a - b).map((index) => [index, index < hours ? '1h' : null]));
}

/** The first place up to which the request is long enough to be kept. */
function longEnough(places: readonly Place[]): number {
  let tokens = 0;
  const index = places.findIndex((place) => {
    tokens += place.tokens;
    return tokens >= SHORTEST_PREFIX;
  });
  return index < 0 ? places.length : index;
}

/** The places of the rule, in its order. */
function* wanted(places: readonly Place[], wholeMarked: boolean): Generator<number> {
  const latest = endOfUserTurn(places, places.length);
  const previous = latest === null ? null : endOfUserTurn(places, startOfTurn(places, latest));
  const goesOn =
    previous !== null || places.some(({ kind, role }) => kind === 'tool' || role === 'assistant');
  const marked = places.flatMap(({ marks }, index) => (marks > 0 ? [index] : []));
  if (wholeMarked) marked.push(places.findLastIndex(({ markable }) => markable));
  if (latest !== null && goesOn && !marked.some((index) => index >= latest)) {
    marked.push(latest);
    yield latest;
  }
  const isFree = (index: number | null): index is number => index !== null && places[index]?.marks === 0;
  const finds = (index: number) => marked.some((one) => one >= index && one - index < LOOKBACK);
  if (isFree(previous) && !finds(previous)) yield previous;
  for (const kind of ['tool', 'system'] as const) {
    const ofKind = places.filter((place) => place.kind === kind);
    const last = places.findLastIndex((place) => place.kind === kind && place.markable);
    if (last >= 0 && !ofKind.some(({ marks }) => marks > 0)) yield last;
  }
  yield* largest(places);
  if (isFree(previous)) yield previous;
}

function* largest(places: readonly Place[]): Generator<number> {
  const large = places.flatMap(({ kind, markable, marks, tokens }, index) =>
    kind === 'content' && markable && marks === 0 && tokens >= LARGE_CONTENT ? [{ index, tokens }] : [],
  );
  for (const { index } of large.sort((a, b) => b.tokens - a.tokens)) yield index;
}

/** The last place of a user turn that stands before `end` and can carry a marker; of a turn that has none, nothing. */
function endOfUserTurn(places: readonly Place[], end: number): number | null {
  const last = places.findLastIndex(({ role }, index) => index < end && role === 'user');
  const turn = places[last]?.turn;
  const index = places.findLastIndex((place, at) => at < end && place.turn === turn && place.markable);
  return last < 0 || index < 0 ? null : index;
}

function startOfTurn(places: readonly Place[], index: number): number {
  return places.findIndex(({ turn }) => turn === places[index]?.turn);
}
