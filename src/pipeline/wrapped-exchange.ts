import type { Principal } from '../auth/keyring.ts';
import type { Cancellation } from '../core/cancellation.ts';
import type { Dialect } from '../providers/adapter.ts';
import type { Exchange, Headers, ResponseStream } from './exchange.ts';
import type { Live } from './live.ts';

/** An exchange around another one: for what listens to an answer, or changes it, on its way to the client. */
export class WrappedExchange implements Exchange {
  readonly inner: Exchange;
  readonly cancellation: Cancellation;

  /** `cancellation`: where the work is not to end with its client. */
  constructor(inner: Exchange, cancellation = inner.cancellation) {
    this.inner = inner;
    this.cancellation = cancellation;
  }

  header(name: string): string | undefined {
    return this.inner.header(name);
  }

  get body(): Buffer {
    return this.inner.body;
  }

  get dialect(): Dialect {
    return this.inner.dialect;
  }

  get principal(): Principal | null {
    return this.inner.principal;
  }

  get live(): Live | null {
    return this.inner.live;
  }

  get requestId(): string {
    return this.inner.requestId;
  }

  get startedAt(): number {
    return this.inner.startedAt;
  }

  get readAt(): number {
    return this.inner.readAt;
  }

  send(status: number, headers: Headers, body: Buffer | string): void {
    this.inner.send(status, headers, body);
  }

  stream(headers: Headers, onDrain: () => void): ResponseStream {
    return this.inner.stream(headers, onDrain);
  }
}
