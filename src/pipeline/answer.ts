import type { RequestEntry } from '../accounting/book.ts';
import type { Clock } from '../core/clock.ts';
import { errorBody } from '../core/errors.ts';
import { isJsonObject } from '../core/json.ts';
import type { Failure } from '../core/outcome.ts';
import type { Redact } from '../core/redact.ts';
import { dollars } from '../core/usage.ts';
import { readUsage } from '../providers/openai/chunk.ts';
import { outputOf } from '../providers/openai/output.ts';
import type { Answer } from '../upstream/visit.ts';
import type { ChatRequest } from './chat-request.ts';
import { deliverStream } from './deliver.ts';
import { sendError } from './errors.ts';
import type { Exchange, Headers } from './exchange.ts';
import type { Live } from './live.ts';
import type { Spending } from './spending.ts';
import { judge, type Unanswered } from './verdict.ts';

/** What an answer is written from, and into. */
export interface Answered {
  request: ChatRequest;
  entry: RequestEntry;
  spending: Spending;
}

function answerHeaders(entry: RequestEntry): Headers {
  const headers = { 'x-request-id': entry.id, 'x-spillway-attempts': String(entry.tries.length) };
  return entry.target === null ? headers : { ...headers, 'x-spillway-target': entry.target };
}

export function answerPlain(
  exchange: Exchange,
  live: Live,
  redact: Redact,
  { target, value, body }: Answer & { kind: 'plain' },
  { entry, spending }: Answered,
): void {
  entry.target = target.settings.id;
  entry.status = 200;
  entry.outcome = 'ok';
  const usage = value['usage'];
  const reported = isJsonObject(usage) ? readUsage(usage) : null;
  entry.spent = spending.spent(target.settings, reported, () => outputOf(value), true);
  if (live.logBodies) entry.answer = redact(body.toString());
  const headers = {
    'content-type': 'application/json',
    ...answerHeaders(entry),
    ...spending.headers(entry.spent),
    'x-spillway-cost': entry.spent.cost === null ? 'unknown' : dollars(entry.spent.cost),
  };
  exchange.send(200, headers, body);
}

export async function answerStream(
  exchange: Exchange,
  live: Live,
  { clock, redact }: { clock: Clock; redact: Redact },
  { stream, target }: Answer & { kind: 'stream' },
  { entry, spending }: Answered,
): Promise<void> {
  entry.target = target.settings.id;
  entry.status = 200;
  entry.firstTokenMs = clock.now() - exchange.readAt;
  const kept: Buffer[] = [];
  const to = live.logBodies ? recorded(exchange, kept) : exchange;
  const headers = { ...answerHeaders(entry), ...spending.headers('unknown') };
  const failure = await deliverStream(stream, to, headers, live.heartbeat, clock);
  entry.outcome = failure === null ? 'ok' : failure.kind;
  entry.spent = spending.spent(target.settings, stream.usage, () => stream.passed, failure === null);
  if (failure === null && stream.usage !== null) spending.learnFrom(stream.passed, stream.usage);
  if (live.logBodies) entry.answer = redact(Buffer.concat(kept).toString());
}

/** The same exchange, which keeps what is streamed, for the log. */
function recorded(exchange: Exchange, kept: Buffer[]): Pick<Exchange, 'stream'> {
  return {
    stream(headers, onDrain) {
      const response = exchange.stream(headers, onDrain);
      const write = (bytes: Buffer) => {
        kept.push(bytes);
        return response.write(bytes);
      };
      return { write, end: () => response.end() };
    },
  };
}

export function answerWithoutAnswer(
  exchange: Exchange,
  { request, entry, spending }: Answered,
  unanswered: readonly Unanswered[],
): void {
  const verdict = judge(request.model, unanswered);
  entry.outcome = entry.tries.at(-1)?.outcome ?? 'unanswered';
  switch (verdict.kind) {
    case 'client_gone':
      entry.status = 499;
      entry.outcome = 'client_gone';
      return;
    case 'own':
      entry.status = verdict.error.status;
      sendError(exchange, verdict.error, { ...answerHeaders(entry), ...spending.headers('nothing') });
      return;
    case 'relayed':
      entry.target = verdict.target;
      entry.status = verdict.failure.status ?? 400;
      entry.outcome = verdict.failure.kind;
      relayError(
        exchange,
        { ...answerHeaders(entry), ...spending.headers('nothing') },
        entry.status,
        verdict.failure,
      );
  }
}

/** The upstream's own error: its body if that has OpenAI's shape, else its words in that shape. */
function relayError(exchange: Exchange, headers: Headers, status: number, failure: Failure): void {
  const { error } = failure;
  const fallbackCode = failure.kind === 'content_filtered' ? 'content_policy_violation' : 'invalid_value';
  const body =
    error?.raw ??
    errorBody({
      message: error?.message ?? failure.message,
      type: error?.type ?? 'invalid_request_error',
      param: error?.param ?? null,
      code: error?.code ?? fallbackCode,
    });
  const all = { 'content-type': 'application/json', 'x-should-retry': 'false', ...headers };
  exchange.send(status, all, body);
}
