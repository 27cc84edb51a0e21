/**
 * The stand-in for all providers, a process of its own whose CPU nobody counts: prebuilt bytes, no parsing. It answers
 * at once. A stream's events are a write each, one turn of the event loop apart, so that a relay which keeps up reads
 * them apart; one that falls behind finds several in one read. A request for a late answer gets it after LATE_MS, one for a paced stream its events PACE_MS apart, one
 * for a held stream gets its first content, and then an event each HELD_MS for as long as it is open.
 */
import { createServer, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { anthropic } from './answers/anthropic.ts';
import { bedrock } from './answers/bedrock.ts';
import { gemini } from './answers/gemini.ts';
import { HELD_EVENT, LARGE_EVENT, openai, STAMP, STAMP_DIGITS } from './answers/openai.ts';
import type { Words } from './answers/words.ts';
import { HELD_MS, LATE_MS, PACE_MS } from './loads.ts';

/** Of a stream of OpenAI's, which event says when it was written, and where. */
const STAMPED = 1;
const STAMP_AT = (openai.events[STAMPED] as Buffer).indexOf(STAMP) + STAMP.length;
/** Where a body says what it wants: at its ends, whichever way it was written anew on the way. */
const ENDS = 2048;
/** Large events for a slow reader at a time: 1 MB, until the kernel's buffers are full and no more is taken. */
const FLOOD = 64;

/** Open for as long as their readers want. */
const held = new Set<ServerResponse>();
const heldForSlow = new Set<ServerResponse>();

function says(body: Buffer, what: string): boolean {
  return body.subarray(0, ENDS).includes(what) || body.subarray(-ENDS).includes(what);
}

function wordsOf(path: string): Words {
  if (path.endsWith('/chat/completions')) return openai;
  if (path.endsWith('/messages')) return anthropic;
  return path.includes('/converse') ? bedrock : gemini;
}

/** The path says it, or the body. */
function isStream(path: string, body: Buffer): boolean {
  return (
    path.endsWith('/converse-stream') ||
    path.includes(':streamGenerateContent') ||
    says(body, '"stream":true')
  );
}

function stamped(): Buffer {
  const copy = Buffer.from(openai.events[STAMPED] as Buffer);
  const now = String(process.hrtime.bigint()).padStart(STAMP_DIGITS, '0').slice(-STAMP_DIGITS);
  copy.write(now, STAMP_AT, 'latin1');
  return copy;
}

function stream(response: ServerResponse, words: Words, usage: boolean, paced: boolean): void {
  const { events } = words;
  response.write(events[0] as Buffer);
  let next = 1;
  const step = () => {
    if (response.destroyed) return;
    const event = words === openai && next === STAMPED ? stamped() : events[next];
    next++;
    if (event === undefined) {
      response.end(words.end(usage));
    } else {
      response.write(event);
      later();
    }
  };
  const later = paced ? () => setTimeout(step, PACE_MS) : () => setImmediate(step);
  later();
}

function hold(response: ServerResponse, streams: Set<ServerResponse>): void {
  for (const event of openai.events.slice(0, STAMPED + 1)) response.write(event);
  streams.add(response);
  response.once('close', () => streams.delete(response));
}

setInterval(() => {
  for (const response of held) response.write(HELD_EVENT);
  for (const response of heldForSlow) {
    for (let sent = 0; sent < FLOOD && !response.writableNeedDrain; sent++) response.write(LARGE_EVENT);
  }
}, HELD_MS);

const server = createServer((request, response) => {
  const parts: Buffer[] = [];
  request.on('data', (part: Buffer) => parts.push(part));
  request.on('end', () => {
    const body = parts.length === 1 ? (parts[0] as Buffer) : Buffer.concat(parts);
    const path = request.url ?? '';
    const words = wordsOf(path);
    if (!isStream(path, body)) {
      response.writeHead(200, [
        'content-type',
        'application/json',
        'content-length',
        String(words.whole.length),
      ]);
      if (says(body, '"user":"late"')) setTimeout(() => response.end(words.whole), LATE_MS);
      else response.end(words.whole);
      return;
    }
    response.writeHead(200, ['content-type', words.streamType, 'cache-control', 'no-cache']);
    if (says(body, '"user":"held"')) hold(response, held);
    else if (says(body, '"user":"slow"')) hold(response, heldForSlow);
    else stream(response, words, says(body, '"include_usage":true'), says(body, '"user":"paced"'));
  });
});

server.keepAliveTimeout = 0;
server.listen(0, '127.0.0.1', () => {
  const { port } = server.address() as AddressInfo;
  console.log(JSON.stringify({ msg: 'listening', listen: `http://127.0.0.1:${port}` }));
});
