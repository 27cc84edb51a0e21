import type { CancelReason } from '../core/cancellation.ts';
import type { Clock } from '../core/clock.ts';
import type { Redact } from '../core/redact.ts';
import type { AnswerHead, CachedAnswer } from '../replay/cache.ts';
import type { Follower } from '../replay/flights.ts';
import type { Answered } from './answer.ts';
import type { Found } from './cached.ts';
import { firstHeaders } from './errors.ts';
import type { Exchange, Headers } from './exchange.ts';
import { addHeaders } from './header-list.ts';
import { interruption, lastEventOf, voiceOf } from './last-words.ts';
import type { Live } from './live.ts';

export interface KeptServices {
  clock: Clock;
  redact: Redact;
}

/**
 * Answers with what was found. It takes none of the tenant's tokens and no money; the request itself has been counted. `exchange`: the client's own.
 * Resolves when the client has it all, or there is no more of it to have.
 */
export async function answerKept(
  exchange: Exchange,
  found: Found,
  live: Pick<Live, 'logBodies'>,
  services: KeptServices,
  answered: Answered,
): Promise<void> {
  const { entry } = answered;
  if (found.how === 'gone') {
    entry.status = 499;
    entry.outcome = 'client_gone';
    return;
  }
  const from = services.clock.now();
  const kept: Buffer[] | null = live.logBodies ? [] : null;
  if (found.how === 'hit') answerHit(exchange, found.answer, services, answered, kept);
  else await answerShared(exchange, found.follower, services, answered, kept);
  if (found.how === 'shared') entry.waitedMs += services.clock.now() - from;
  if (kept !== null) entry.answer = services.redact(Buffer.concat(kept).toString());
}

function begin(
  exchange: Exchange,
  { status, streamed, target }: AnswerHead,
  { clock }: KeptServices,
  { entry }: Answered,
): void {
  entry.target = target;
  entry.status = status;
  entry.outcome = 'ok';
  if (streamed) entry.firstTokenMs = clock.now() - exchange.readAt;
}

/** What is said of an answer each time that it is given. */
const SAID_ANEW = /^(content-type|x-spillway-(attempts|cost|cache))$/;

function headersOf(exchange: Exchange, head: AnswerHead, { entry, spending }: Answered): Headers {
  const headers = firstHeaders(exchange, head.headers['content-type']);
  addHeaders(headers, head.headers, (name) => !SAID_ANEW.test(name));
  spending.writeHeaders(headers, 'nothing');
  headers.push('x-spillway-attempts', String(entry.tries.length));
  headers.push('x-spillway-cost', '0', 'x-spillway-cache', entry.cache ?? 'hit');
  return headers;
}

function answerHit(
  exchange: Exchange,
  { head, body, storedAt }: CachedAnswer,
  services: KeptServices,
  answered: Answered,
  kept: Buffer[] | null,
): void {
  answered.entry.cache = 'hit';
  begin(exchange, head, services, answered);
  kept?.push(body);
  const age = Math.max(0, Math.floor((services.clock.wall() - storedAt) / 1000));
  const headers = headersOf(exchange, head, answered);
  headers.push('age', String(age));
  if (!head.streamed) {
    exchange.send(head.status, headers, body);
    return;
  }
  // It is in memory, and short: a slow client holds nothing up by it.
  const response = exchange.stream(headers, () => {});
  response.write(body);
  response.end();
}

async function answerShared(
  exchange: Exchange,
  follower: Follower,
  services: KeptServices,
  answered: Answered,
  kept: Buffer[] | null,
): Promise<void> {
  const { flight } = follower;
  const { head, body } = flight;
  const { entry } = answered;
  if (head === null) throw new Error('an answer that has not begun cannot be shared');
  entry.cache = 'shared';
  begin(exchange, head, services, answered);
  const headers = headersOf(exchange, head, answered);
  if (body !== null) {
    kept?.push(body);
    exchange.send(head.status, headers, body);
    follower.leave();
    return;
  }
  const end = await deliverShared(exchange, follower, headers, kept);
  follower.leave();
  if (end === 'gone') entry.outcome = 'client_gone';
  // How it ended is known when the request that asked for it is over, which it soon is.
  else entry.outcome = end === 'whole' ? ((await flight.outcome) ?? 'broken_body') : 'broken_body';
}

/** For a client that read too slowly, or an answer that broke off without a word. */
const LOST =
  'The stream was interrupted: it was shared with another request, and its end was lost. What came before is not the whole answer.';

/** Brings a stream to one more client while it comes. `whole`: as much of it as there was, and how that ended. */
function deliverShared(
  exchange: Exchange,
  follower: Follower,
  headers: Headers,
  kept: Buffer[] | null,
): Promise<'whole' | 'lost' | 'gone'> {
  return new Promise((resolve) => {
    const { reading } = follower;
    let latest: Buffer | null = null;
    const response = exchange.stream(headers, () => reading.resume());
    const over = (how: 'whole' | 'lost' | 'gone') => {
      exchange.cancellation.remove(listener);
      resolve(how);
    };
    const listener = {
      cancelled(reason: CancelReason) {
        // The stream ends in an error then, for all who share it.
        if (reason !== 'client_gone') follower.shutDown();
        else {
          follower.leave();
          over('gone');
        }
      },
    };
    exchange.cancellation.add(listener);
    reading.start({
      write(bytes) {
        latest = bytes;
        kept?.push(bytes);
        return response.write(bytes);
      },
      end() {
        response.end();
        over('whole');
      },
      lost() {
        response.write(interruption(voiceOf(exchange.dialect), LOST, lastEventOf(latest)));
        response.end();
        over('lost');
      },
    });
  });
}
