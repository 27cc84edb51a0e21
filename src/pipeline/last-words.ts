import type { Presenter } from '../chat/presenter.ts';
import { ERROR_CODES } from '../core/errors.ts';
import { isJsonObject, type JsonObject, tryParseJson } from '../core/json.ts';
import { JsonBody } from '../core/json-body.ts';
import type { ClientRequest } from '../dialects/dialect.ts';
import { DIALECTS } from '../dialects/dialects.ts';
import type { Dialect } from '../providers/adapter.ts';

/** Those whose answers can be streams. */
const STREAMING: ReadonlySet<string> = new Set<Dialect>(['chat', 'messages', 'responses']);

/** Speaks where nothing is left of the request that a stream is the answer to: how it breaks and what keeps it open depend on nothing else. */
export function voiceOf(dialect: string): Presenter {
  const known = (STREAMING.has(dialect) ? dialect : 'chat') as Dialect;
  const body = JsonBody.parse(Buffer.from('{}'));
  const request: ClientRequest = {
    dialect: known,
    body,
    model: '',
    streaming: true,
    wantsUsage: false,
    chat: () => body,
  };
  return DIALECTS[known].presenter(request, '', 0);
}

/** The event that a stream ends in which is not whole. `after`: what the event before it said, for errors that go on from that; null: nothing. */
export function interruption(voice: Presenter, message: string, after: JsonObject | null): Buffer {
  const { type } = ERROR_CODES.stream_interrupted;
  return voice.error({ message, type, code: 'stream_interrupted', after });
}

const DATA = '\ndata: ';

/** What the last of these events says, if it is an object: an error that follows may have to go on from it. */
export function lastEventOf(events: Buffer | null): JsonObject | null {
  if (events === null) return null;
  const text = `\n${events.toString()}`;
  const start = text.lastIndexOf(DATA);
  const value = start < 0 ? null : tryParseJson(text.slice(start + DATA.length));
  return isJsonObject(value ?? null) ? (value as JsonObject) : null;
}
