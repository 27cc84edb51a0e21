import type { Dispatcher } from 'undici';

/** Where a call goes. */
interface Destination {
  readonly dispatcher: Dispatcher;
  readonly origin: string;
  readonly path: string;
}

/** Hands a call to undici, which throws for a header or a path that it refuses, before anything is sent. `headers`: name, value … without the body's length. */
export function dispatch(
  { dispatcher, origin, path }: Destination,
  headers: readonly string[],
  body: readonly Buffer[],
  handler: Dispatcher.DispatchHandler,
): void {
  const isOne = body.length === 1;
  // undici only reads the headers, and sends an array of buffers one after the other without a copy; its types say neither.
  const sent = (isOne ? body[0] : body) as Buffer;
  const all = (isOne ? headers : withLength(headers, body)) as string[];
  // Nobody else waits for its socket, so that there is nobody to be let in once its headers have come.
  dispatcher.dispatch({ origin, path, method: 'POST', headers: all, body: sent, blocking: false }, handler);
}

/** Of one buffer undici finds the length itself. */
function withLength(headers: readonly string[], body: readonly Buffer[]): readonly string[] {
  const length = body.reduce((sum, part) => sum + part.length, 0);
  return [...headers, 'content-length', String(length)];
}
