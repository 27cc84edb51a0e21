/** What an error that Redis answered with means for us. */

/** It is there, and does not take what is written, or nothing at all: now, or from us. In words for the log, without what Redis said. */
const REFUSALS: Readonly<Record<string, string>> = {
  OOM: 'it is out of memory',
  READONLY: 'it is a read-only replica',
  LOADING: 'it is still loading its data',
  MASTERDOWN: 'it has lost its master',
  CLUSTERDOWN: 'its cluster is down',
  TRYAGAIN: 'the slot is being moved',
  NOREPLICAS: 'it has too few replicas to take writes',
  MISCONF: 'it cannot save to disk and takes no writes',
  BUSY: 'it is busy with a script',
  UNKILLABLE: 'it is busy with a script',
  NOAUTH: 'it wants a user or a password',
  WRONGPASS: 'it does not know this user with this password',
  NOPERM: 'its user may not do what is needed',
  DENIED: 'it only takes connections from its own machine',
  MAXCLIENTS: 'it has as many clients as it takes',
  MOVED: 'it is one of a cluster and sends us to another',
  ASK: 'it is one of a cluster and sends us to another',
};

/** Redis before 7 puts what happened within a script into the middle of the message. */
const WITHIN_SCRIPT = new RegExp(`-(${Object.keys(REFUSALS).join('|')}) `);

/** Redis 7 says that of a script whose user may run it, but not the commands in it. */
const SCRIPT_NOT_PERMITTED = /The user executing the script can't run this command/;

/**
 * A node of a cluster says that of a script whose first keys are still there, and one that it comes to by itself has gone with the slot already: all keys of
 * ours are of one slot. What a script has done by then is done again to no effect.
 */
const HALF_MOVED = /attempted to access a non local key in a cluster node/;

/** What Redis answered, unlike a connection that broke. */
export interface ErrorReply extends Error {
  name: 'ReplyError';
}

export function isReply(error: unknown): error is ErrorReply {
  return error instanceof Error && error.name === 'ReplyError';
}

/** The first word of an error reply: `OOM`. */
export function codeOf(reply: ErrorReply): string {
  const space = reply.message.indexOf(' ');
  return space < 0 ? reply.message : reply.message.slice(0, space);
}

/** Which refusal it is; null for a mistake of whoever called. */
export function refusalOf(reply: ErrorReply): string | null {
  const code = codeOf(reply);
  if (Object.hasOwn(REFUSALS, code)) return code;
  if (SCRIPT_NOT_PERMITTED.test(reply.message)) return 'NOPERM';
  if (HALF_MOVED.test(reply.message)) return 'TRYAGAIN';
  if (code !== 'ERR') return null;
  if (reply.message.startsWith('ERR max number of clients')) return 'MAXCLIENTS';
  return WITHIN_SCRIPT.exec(reply.message)?.[1] ?? null;
}

export function inWords(refusal: string): string {
  return `${REFUSALS[refusal] ?? 'it refuses'} (${refusal})`;
}

/** Where a command should have gone: `MOVED` from now on, `ASK` just once. Null for other replies. */
export function redirectionOf(reply: ErrorReply): { kind: 'MOVED' | 'ASK'; address: string } | null {
  const [kind, , address] = reply.message.split(' ');
  if ((kind !== 'MOVED' && kind !== 'ASK') || address === undefined) return null;
  return { kind, address };
}
