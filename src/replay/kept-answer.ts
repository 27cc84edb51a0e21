import { isJsonObject, tryParseJson } from '../core/json.ts';

/** A whole answer as a client was given it, to be given again. */
export interface KeptAnswer {
  status: number;
  /** Those that belong to the answer, such as its type and who gave it. Not what belongs to one exchange: its id, what is left of quotas. */
  headers: Readonly<Record<string, string>>;
  /** Given as a stream: then `body` is its events. */
  streamed: boolean;
  /** `provider/model` that gave it; null: none did. */
  target: string | null;
  body: string;
}

export function writeKept(answer: KeptAnswer): string {
  return JSON.stringify(answer);
}

/** Null for what this version does not understand: it is as good as not there. */
export function readKept(text: string): KeptAnswer | null {
  const value = tryParseJson(text);
  if (!isJsonObject(value)) return null;
  const { status, headers, streamed, target, body } = value;
  if (typeof status !== 'number' || !isJsonObject(headers) || typeof body !== 'string') return null;
  if (!Object.values(headers).every((one) => typeof one === 'string')) return null;
  return {
    status,
    headers: headers as Readonly<Record<string, string>>,
    streamed: streamed === true,
    target: typeof target === 'string' ? target : null,
    body,
  };
}
