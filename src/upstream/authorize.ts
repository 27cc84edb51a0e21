import type { CancelListener, CancelReason } from '../core/cancellation.ts';
import type { Failure } from '../core/outcome.ts';
import { makeRedact, type Redact } from '../core/redact.ts';
import { type Credentials, CredentialsError } from '../credentials/credentials.ts';
import { AttemptBounds, type Bounded } from './attempt-bounds.ts';
import type { AttemptCall, AttemptEnd, AttemptRequest, Authorized } from './attempt-request.ts';
import { goneFailure, plainFailure } from './transport-failure.ts';

interface Unauthorized {
  origin: string;
  path: string;
  /** Name, value, name, value … */
  headers: readonly string[];
  body: readonly Buffer[];
}

type Authorization = Authorized | { failure: Failure };

/** The call's headers with what authorizes it, and a `redact` that knows that as well; or why there is nothing. */
export async function authorize(
  credentials: Credentials,
  { origin, path, headers, body }: Unauthorized,
  redact: Redact,
): Promise<Authorization> {
  try {
    const named: Record<string, string> = {};
    for (let at = 0; at < headers.length; at += 2) named[headers[at] as string] = headers[at + 1] as string;
    const url = new URL(`${origin}${path}`);
    const added = await credentials.authorize({ method: 'POST', url, headers: named, body });
    return { headers: withAdded(headers, added), redact: alsoHiding(added, redact) };
  } catch (error) {
    if (!(error instanceof CredentialsError)) throw error;
    const kind = error.refused ? 'credentials_refused' : 'connection_failed';
    return { failure: plainFailure(kind, redact(error.message)) };
  }
}

/** The same, or why it is not waited for any longer: whoever gives credentials may take long. The bounds are those of a try that has been sent. */
export function inTime(authorizing: Promise<Authorization>, request: AttemptRequest): Promise<Authorization> {
  return new Promise((resolve, reject) => {
    const waiting = new Waiting(request, resolve);
    authorizing.then(resolve, reject).finally(() => waiting.over());
    waiting.begin();
  });
}

class Waiting implements CancelListener, Bounded {
  state: Bounded['state'] = 'sent';
  readonly #request: AttemptRequest;
  readonly #bounds: AttemptBounds;
  readonly #giveUp: (why: { failure: Failure }) => void;

  constructor(request: AttemptRequest, giveUp: (why: { failure: Failure }) => void) {
    this.#request = request;
    this.#bounds = new AttemptBounds(request, this, request.clock.now(), null);
    this.#giveUp = giveUp;
  }

  begin(): void {
    this.#bounds.begin(this.#request.clock.now());
    this.#request.cancellation.add(this);
  }

  over(): void {
    this.state = 'over';
    this.#bounds.clear();
    this.#request.cancellation.remove(this);
  }

  cancelled(reason: CancelReason): void {
    this.over();
    this.#giveUp({ failure: goneFailure(reason) });
  }

  timeIsOver(now: number): void {
    const failure = this.#bounds.whatIsOver(now);
    this.over();
    this.#giveUp({ failure });
  }
}

/** Has the rest of an answer asked for, which is another call: it is authorized anew where calls are signed for what they send. */
export function authorizeRest(
  request: AttemptRequest,
  { headers, redact, body }: AttemptCall,
  end: (end: AttemptEnd) => void,
  ask: (call: AttemptCall) => void,
): void {
  const authorizing = request.reauthorize?.(body) ?? null;
  if (authorizing === null) {
    ask({ headers, redact, body });
    return;
  }
  const fail = (failure: Failure) => end({ kind: 'failed', failure, heldUp: false });
  authorizing.then(
    (authorized) => {
      if ('failure' in authorized) fail(authorized.failure);
      else ask({ ...authorized, body });
    },
    () => fail(plainFailure('connection_failed', 'the call for the rest could not be authorized')),
  );
}

/** What was added wins over what was there. */
function withAdded(headers: readonly string[], added: readonly string[]): string[] {
  const names = new Set(added.filter((_, at) => at % 2 === 0));
  const kept: string[] = [];
  for (let at = 0; at < headers.length; at += 2) {
    if (!names.has(headers[at] as string)) kept.push(headers[at] as string, headers[at + 1] as string);
  }
  return [...kept, ...added];
}

/** An upstream may quote what it was sent in its errors. */
function alsoHiding(added: readonly string[], redact: Redact): Redact {
  const values = added.filter((_, at) => at % 2 === 1).map((value) => value.replace(/^Bearer /, ''));
  const hide = makeRedact(values);
  return (text) => hide(redact(text));
}
