import { isJsonObject, type Json, type JsonObject } from '../../core/json.ts';

/** `logprobsResult` as the tokens of OpenAI's `logprobs.content`. */
export function logprobsOf(result: Json | undefined): JsonObject[] {
  if (!isJsonObject(result)) return [];
  const { chosenCandidates: chosen, topCandidates: tops } = result;
  if (!Array.isArray(chosen)) return [];
  return chosen.flatMap((token, step): JsonObject[] => {
    const told = tokenOf(token);
    if (told === null) return [];
    const top = Array.isArray(tops) ? tops[step] : null;
    const others = isJsonObject(top) && Array.isArray(top['candidates']) ? top['candidates'] : [];
    return [{ ...told, top_logprobs: others.map(tokenOf).filter((other) => other !== null) }];
  });
}

function tokenOf(candidate: Json): JsonObject | null {
  if (!isJsonObject(candidate)) return null;
  const { token = '', logProbability = 0 } = candidate;
  if (typeof token !== 'string' || typeof logProbability !== 'number') return null;
  return { token, logprob: logProbability, bytes: [...Buffer.from(token)] };
}
