import type { RequestEntry } from '../accounting/request-entry.ts';
import type { Clock } from '../core/clock.ts';
import type { Failure } from '../core/outcome.ts';
import type { Redact } from '../core/redact.ts';
import { dollars, type Spent } from '../core/usage.ts';
import type { ClientRequest } from '../dialects/dialect.ts';
import { DIALECTS } from '../dialects/dialects.ts';
import type { Answer } from '../upstream/answer.ts';
import type { Target } from '../upstream/registry.ts';
import { type Going, lasting } from './continue-answer.ts';
import { deliverStream, STREAM_TYPE } from './deliver.ts';
import { errorText, firstHeaders, sendError } from './errors.ts';
import type { Exchange, Headers } from './exchange.ts';
import type { Live } from './live.ts';
import type { Spending } from './spending.ts';
import { judge, type Unanswered } from './verdict.ts';

/** What an answer is written from, and into. */
export interface Answered {
  request: ClientRequest;
  entry: RequestEntry;
  spending: Spending;
}

/** Of what was left out: clients may make names up, and not all of them can stand in a header. */
const NAME = /^[\w.[\]-]{1,64}$/;
const MOST_NAMES = 32;

/** `spent`: as its quotas are told of in them. */
function answerHeaders(
  exchange: Exchange,
  { entry, spending }: Answered,
  spent: Spent | 'nothing' | 'unknown',
  dropped: readonly string[] = [],
  type?: string,
): Headers {
  const headers = firstHeaders(exchange, type);
  headers.push('x-spillway-attempts', String(entry.tries.length));
  if (entry.target !== null) headers.push('x-spillway-target', inHeader(entry.target));
  if (dropped.length > 0) {
    const names = dropped.filter((name) => NAME.test(name)).slice(0, MOST_NAMES);
    if (names.length > 0) headers.push('x-spillway-dropped', names.join(', '));
  }
  spending.writeHeaders(headers, spent);
  return headers;
}

/** What cannot stand in a header; of a model's name, which clients may make up, that may be anything. */
const NOT_IN_HEADERS = /[^\t\x20-\x7e\x80-\xff]/gu;

function inHeader(name: string): string {
  return name.search(NOT_IN_HEADERS) < 0
    ? name
    : name.toWellFormed().replace(NOT_IN_HEADERS, encodeURIComponent);
}

/** Answers with what came whole, and says in the entry what it took. */
export function answerPlain(
  exchange: Exchange,
  live: Live,
  { redact, newId }: { redact: Redact; newId(): string },
  { target, relayed, dropped, answer }: Answer & { kind: 'plain' },
  answered: Answered,
): void {
  const { request, entry, spending } = answered;
  const { usage, output } = answer;
  entry.target = target.settings.id;
  entry.status = 200;
  entry.outcome = 'ok';
  const body = relayed
    ? answer.body
    : Buffer.from(JSON.stringify(DIALECTS[request.dialect].answer(answer.value, request, newId())));
  if (live.logBodies) entry.answer = redact(body.toString());
  if (request.dialect !== 'count_tokens') {
    const surely = target.adapter.countsSurely === true;
    entry.spent = spending.spent(target.settings, { reported: usage, surely, passed: output, whole: true });
  }
  const { spent } = entry;
  const headers = answerHeaders(exchange, answered, spent ?? 'nothing', dropped);
  if (spent !== null) headers.push('x-spillway-cost', spent.cost === null ? 'unknown' : dollars(spent.cost));
  exchange.send(200, headers, body);
}

/** How many tokens a request would have, by our own reckoning. */
export function answerEstimate(exchange: Exchange, target: Target, answered: Answered): void {
  const { entry, spending } = answered;
  entry.target = target.settings.id;
  entry.status = 200;
  entry.outcome = 'ok';
  const headers = answerHeaders(exchange, answered, 'nothing');
  exchange.send(200, headers, JSON.stringify({ input_tokens: spending.promptTokens() }));
}

/** Brings a stream to its client, gone on with where it breaks. Resolves when it is over, however it ended: the entry says how, and what it took. */
export function answerStream(
  exchange: Exchange,
  live: Live,
  { clock, redact, newId }: { clock: Clock; redact: Redact; newId(): string },
  answer: Answer & { kind: 'stream' },
  answered: Answered,
  going: Going,
): Promise<void> {
  const { request, entry, spending } = answered;
  const { target, dropped, presenter } = answer;
  // Most streams could not be gone on with, and need nobody who would.
  const lasts = answer.stream.transcript === null ? null : lasting(answer, going);
  const stream = lasts?.stream ?? answer.stream;
  entry.target = target.settings.id;
  entry.status = 200;
  entry.firstTokenMs = clock.now() - exchange.readAt;
  const kept: Buffer[] = [];
  const to = live.logBodies ? recorded(exchange, kept) : exchange;
  const headers = answerHeaders(exchange, answered, 'unknown', dropped, STREAM_TYPE);
  if (answer.stream.whole === true) headers.push('x-spillway-stream', 'whole');
  const relayed = presenter === null;
  const voice =
    presenter ?? DIALECTS[request.dialect].presenter(request, newId(), Math.floor(clock.wall() / 1000));
  const delivered = deliverStream({ stream, voice, relayed }, to, headers, live.heartbeat, clock);
  if (lasts === null) letGoOfBody(request, spending, relayed);
  return delivered.then((failure) => {
    entry.outcome = failure === null ? 'ok' : failure.kind;
    const inParts = lasts?.spent(failure === null) ?? null;
    entry.spent =
      inParts ??
      spending.spent(target.settings, {
        reported: stream.usage,
        surely: target.adapter.countsSurely === true,
        passed: () => stream.passed,
        whole: failure === null,
      });
    if (failure === null && inParts === null && stream.usage !== null)
      spending.learnFrom(stream.passed, stream.usage);
    if (live.logBodies) entry.answer = redact(Buffer.concat(kept).toString());
  });
}

/** Nobody will be asked again, and the stream may last for an hour. */
function letGoOfBody(request: ClientRequest, spending: Spending, relayed: boolean): void {
  spending.letGoOfBody();
  if (!relayed) request.chat().letGo();
  request.body.letGo();
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

/** Tells the client why it gets no answer. `unanswered`: every call, in order. */
export function answerWithoutAnswer(
  exchange: Exchange,
  answered: Answered,
  unanswered: readonly Unanswered[],
): void {
  const { request, entry } = answered;
  const verdict = judge(request.model, unanswered, request.dialect === 'responses' ? 'input' : 'messages');
  // A hedge that was let go of when another target's failure ended the request did not end it.
  entry.outcome = entry.tries.findLast(({ outcome }) => outcome !== 'superseded')?.outcome ?? 'unanswered';
  switch (verdict.kind) {
    case 'client_gone':
      entry.status = 499;
      entry.outcome = 'client_gone';
      return;
    case 'own':
      entry.status = verdict.error.status;
      sendError(exchange, verdict.error, answerHeaders(exchange, answered, 'nothing'));
      return;
    case 'relayed':
      entry.target = verdict.target;
      entry.status = verdict.failure.status ?? 400;
      entry.outcome = verdict.failure.kind;
      relayError(exchange, answerHeaders(exchange, answered, 'nothing'), entry.status, verdict.failure);
  }
}

/** The upstream's own error: its body if that has OpenAI's shape, else its words in that shape. */
function relayError(exchange: Exchange, headers: Headers, status: number, failure: Failure): void {
  const { error } = failure;
  const fallbackCode = failure.kind === 'content_filtered' ? 'content_policy_violation' : 'invalid_value';
  const fields = {
    message: error?.message ?? failure.message,
    type: error?.type ?? 'invalid_request_error',
    param: error?.param ?? null,
    code: error?.code ?? fallbackCode,
  };
  const speaksOpenAi = exchange.dialect !== 'messages' && exchange.dialect !== 'count_tokens';
  const body = (speaksOpenAi ? error?.raw : null) ?? errorText(exchange, fields, status);
  headers.push('x-should-retry', 'false');
  exchange.send(status, headers, body);
}
