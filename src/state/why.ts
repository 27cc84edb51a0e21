/** What the client library says of a connection that has ended, whoever ended it. */
const ENDED = /^(?:Stream isn't writeable|Connection is closed)/;

/** Why a connection could not be made, or was lost, in words for the log. */
export function whyOf(error: Error): string {
  // Of a host that has several addresses: one for each, and no message of its own.
  if (error instanceof AggregateError) return [...new Set(error.errors.map(whyOf))].join(', ');
  return ENDED.test(error.message) ? 'the connection was closed' : error.message;
}
