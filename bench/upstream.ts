/**
 * The stand-in provider, a process of its own whose CPU nobody counts: prebuilt bytes, no parsing. It answers
 * at once. A stream's events are a write each, one turn of the event loop apart, so that a relay which keeps up reads
 * them apart; one that falls behind finds several in one read. A request for a paced stream gets them PACE_MS apart.
 */
import { createServer, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { ANSWER, DONE, EVENTS, PACE_MS, STAMP, STAMP_DIGITS, USAGE_EVENT } from './loads.ts';

const PLAIN_HEADERS = ['content-type', 'application/json', 'content-length', String(ANSWER.length)];
const STREAM_HEADERS = ['content-type', 'text/event-stream', 'cache-control', 'no-cache'];
const ROLE = EVENTS[0] as Buffer;
const STAMPED = EVENTS[1] as Buffer;
const REST = EVENTS.slice(2);
const STAMP_AT = STAMPED.indexOf(STAMP) + STAMP.length;
/** Where a body says what it wants: at its ends, whichever way it was written anew on the way. */
const ENDS = 2048;

function says(body: Buffer, what: string): boolean {
  return body.subarray(0, ENDS).includes(what) || body.subarray(-ENDS).includes(what);
}

function stamped(): Buffer {
  const copy = Buffer.from(STAMPED);
  copy.write(
    String(process.hrtime.bigint()).padStart(STAMP_DIGITS, '0').slice(-STAMP_DIGITS),
    STAMP_AT,
    'latin1',
  );
  return copy;
}

function stream(response: ServerResponse, usage: boolean, paced: boolean): void {
  response.writeHead(200, STREAM_HEADERS);
  response.write(ROLE);
  let next = -1;
  const step = () => {
    if (response.destroyed) return;
    const event = next === -1 ? stamped() : REST[next];
    next++;
    if (event !== undefined) {
      response.write(event);
      later();
    } else {
      response.end(usage ? Buffer.concat([USAGE_EVENT, DONE]) : DONE);
    }
  };
  const later = paced ? () => setTimeout(step, PACE_MS) : () => setImmediate(step);
  later();
}

const server = createServer((request, response) => {
  const parts: Buffer[] = [];
  request.on('data', (part: Buffer) => parts.push(part));
  request.on('end', () => {
    const body = parts.length === 1 ? (parts[0] as Buffer) : Buffer.concat(parts);
    if (!says(body, '"stream":true')) response.writeHead(200, PLAIN_HEADERS).end(ANSWER);
    else stream(response, says(body, '"include_usage":true'), says(body, '"user":"paced"'));
  });
});

server.keepAliveTimeout = 0;
server.listen(0, '127.0.0.1', () => {
  const { port } = server.address() as AddressInfo;
  console.log(JSON.stringify({ msg: 'listening', listen: `http://127.0.0.1:${port}` }));
});
