import type { Presenter } from '../chat/presenter.ts';
import type { Clock, Timer } from '../core/clock.ts';
import { ERROR_CODES } from '../core/errors.ts';
import type { JsonObject } from '../core/json.ts';
import type { Failure } from '../core/outcome.ts';
import type { BegunStream } from '../upstream/stream-roles.ts';
import type { Exchange, Headers } from './exchange.ts';

/** Of an upstream's own words, as much as goes into our error. Characters. */
const LONGEST_REASON = 1000;

export const STREAM_HEADERS: Headers = {
  'content-type': 'text/event-stream; charset=utf-8',
  'cache-control': 'no-cache',
  // nginx holds streams back unless it is told not to.
  'x-accel-buffering': 'no',
};

/** A stream, and who speaks where it has no words of its own. */
export interface Delivered {
  stream: BegunStream;
  voice: Presenter;
  /** The events are the target's own. */
  relayed: boolean;
}

/**
 * Brings a stream that has begun to its client, as fast as that reads. Resolves when it is over: null if the client has it whole.
 * A broken one ends in an error event and no end mark, so that it cannot be taken for a whole answer.
 */
export function deliverStream(
  { stream, voice, relayed }: Delivered,
  exchange: Pick<Exchange, 'stream'>,
  headers: Headers,
  heartbeat: number,
  clock: Clock,
): Promise<Failure | null> {
  return new Promise((resolve) => {
    const response = exchange.stream({ ...STREAM_HEADERS, ...headers }, () => {
      clientIsSlow = false;
      stream.resume();
    });
    let clientIsSlow = false;
    let writtenAt = clock.now();
    let timer: Timer | null = null;

    const beat = () => {
      const quiet = clock.now() - writtenAt;
      if (quiet >= heartbeat && !clientIsSlow) {
        response.write(voice.ping);
        writtenAt = clock.now();
      }
      timer = clock.schedule(quiet >= heartbeat ? heartbeat : heartbeat - quiet, beat);
    };
    if (heartbeat > 0) timer = clock.schedule(heartbeat, beat);

    stream.flow({
      write(bytes) {
        writtenAt = clock.now();
        clientIsSlow = !response.write(bytes);
        return !clientIsSlow;
      },
      end(failure) {
        timer?.cancel();
        const last = failure === null ? voice.end(relayed) : lastWords(failure, voice, stream.lastEvent);
        if (last !== null) response.write(last);
        response.end();
        resolve(failure);
      },
    });
  });
}

/** Nobody hears the last words to a client that has left. */
function lastWords(failure: Failure, voice: Presenter, after: JsonObject | null): Buffer | null {
  if (failure.kind === 'client_gone') return null;
  return voice.error({
    message: `The stream was interrupted: ${failure.message.slice(0, LONGEST_REASON)}. What came before is not the whole answer.`,
    type: ERROR_CODES.stream_interrupted.type,
    code: 'stream_interrupted',
    after,
  });
}
