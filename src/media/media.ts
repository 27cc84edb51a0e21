import { lookup as systemLookup } from 'node:dns/promises';
import { isIP } from 'node:net';
import { networkInterfaces } from 'node:os';
import type { Dispatcher } from 'undici';
import { type Clock, systemClock } from '../core/clock.ts';
import type { JsonObject } from '../core/json.ts';
import { Allowed, isPublic } from './addresses.ts';
import { type Address, Connection } from './connection.ts';
import { dataUrl } from './data-url.ts';
import { MediaError } from './media-error.ts';
import { type MediaKind, typed } from './media-types.ts';
import { Slots } from './slots.ts';
import { LATE, type MediaLimits, orAborted, type Pace, Stop } from './stop.ts';

/** A picture or file. */
export interface Media {
  mediaType: string;
  /** Of `data:`, with all of it in base64. */
  url: string;
}

export interface MediaOptions {
  clock?: Clock;
  /** Finds a host's addresses; rejects if it has none. */
  lookup?(host: string): Promise<readonly Address[]>;
  /** The addresses of this machine, which nobody reaches through us. */
  own?(): readonly string[];
  /** What may be reached besides the internet, at any port: names of hosts, addresses, subnets. Nothing, if left out. */
  allow?: readonly string[];
  /** PEM text of the only certificates to trust; left out = the system's. */
  ca?: string;
  /** Bytes of one file. */
  most?: number;
  /** Bytes of all files of one request. */
  mostOfRequest?: number;
  /** Milliseconds for one file, from the question to its last byte: redirects included, waiting for a place not. */
  timeout?: number;
  /** Files under way at a time, of all requests together; shared by their owners, of whom one alone has half of them. */
  concurrency?: number;
}

/** Bytes that may still come. */
export interface Allowance {
  bytes: number;
}

const MOST = 20 * 1024 * 1024;
/** No more than a request itself may have. */
const MOST_OF_REQUEST = 32 * 1024 * 1024;
const TIMEOUT = 20_000;
/** For a place among those under way. Milliseconds. */
const LONGEST_WAIT = 10_000;
/** A host that gives less would keep a place from others for nothing. The beginning of an answer is enough for its time. */
const PACE: Pace = { every: 5000, least: 8192 };
const CONCURRENCY = 24;
const MOST_REDIRECTS = 3;
/** Whatever else listens on a port is not to be spoken to in HTTP. */
const PORTS = new Set(['', '80', '443', '8080', '8443']);
/** Characters. */
const LONGEST_URL = 8192;

const UNREACHABLE = 'The URL could not be reached.';
const BUSY = 'Too many files are being fetched now, and the turn of this one did not come in time.';

/**
 * Fetches pictures and files that clients name by URL, and only from the internet: each host is resolved once, all of its addresses are checked,
 * and the connection goes to one of those; redirects likewise. A proxy of the environment is not used, since a proxy resolves names by
 * itself, and what it would reach cannot be checked here: where only a proxy leads outside, nothing can be fetched.
 */
export class MediaFetcher {
  readonly #clock: Clock;
  readonly #lookup: (host: string) => Promise<readonly Address[]>;
  readonly #own: () => readonly string[];
  readonly #allowed: Allowed;
  readonly #ca: string | undefined;
  readonly #most: number;
  readonly #mostOfRequest: number;
  readonly #timeout: number;
  readonly #slots: Slots;
  readonly #requests = new WeakMap<JsonObject, RequestMedia>();

  /** Throws for entries of `allow` that make no sense. */
  constructor(options: MediaOptions = {}) {
    this.#clock = options.clock ?? systemClock;
    this.#lookup = options.lookup ?? ((host) => systemLookup(host, { all: true }));
    this.#own = options.own ?? ownAddresses;
    this.#allowed = new Allowed(options.allow ?? []);
    this.#ca = options.ca;
    this.#most = options.most ?? MOST;
    this.#mostOfRequest = options.mostOfRequest ?? MOST_OF_REQUEST;
    this.#timeout = options.timeout ?? TIMEOUT;
    this.#slots = new Slots(options.concurrency ?? CONCURRENCY);
  }

  /** What one request has fetched so far, for whichever of its targets. */
  of(request: JsonObject): RequestMedia {
    let media = this.#requests.get(request);
    if (media === undefined) {
      media = new RequestMedia(this, this.#mostOfRequest);
      this.#requests.set(request, media);
    }
    return media;
  }

  /** Rejects with a `MediaError`. `allowance`: of a request with several files, what is left of it; it goes down as bytes come. */
  async fetch(
    url: string,
    kind: MediaKind,
    limits: MediaLimits = {},
    allowance: Allowance = { bytes: this.#mostOfRequest },
  ): Promise<Media> {
    const stop = new Stop(this.#clock, limits);
    try {
      const start = parse(url);
      stop.within(LONGEST_WAIT, BUSY);
      const leave = await this.#slots.take(limits.owner ?? '', stop.signal);
      try {
        stop.within(this.#timeout, LATE);
        stop.atPace(PACE, LATE);
        return await this.#follow(start, kind, stop, allowance);
      } finally {
        leave();
      }
    } catch (error) {
      if (stop.signal.aborted) throw stop.signal.reason;
      // What went wrong there is nobody's business here.
      throw error instanceof MediaError ? error : new MediaError(UNREACHABLE);
    } finally {
      stop.end();
    }
  }

  async #follow(start: URL, kind: MediaKind, stop: Stop, allowance: Allowance): Promise<Media> {
    let url = start;
    for (let redirects = 0; ; redirects++) {
      const addresses = await this.#addressesOf(url, stop.signal);
      const answer = await this.#get(url, addresses, kind, stop, allowance);
      if (!('location' in answer)) return answer;
      if (redirects === MOST_REDIRECTS) throw new MediaError('The URL redirects too often.');
      const next = parse(answer.location, url);
      if (url.protocol === 'https:' && next.protocol !== 'https:') {
        throw new MediaError('The URL redirects from https to http.');
      }
      url = next;
    }
  }

  /** Where the host is, if it may be spoken to: one forbidden address among several forbids them all. */
  async #addressesOf(url: URL, signal: AbortSignal): Promise<readonly Address[]> {
    const host = url.hostname.replace(/^\[|\]$/g, '');
    // The same words whether there is no such host, or one that is not to be known of.
    const refused = new MediaError(
      PORTS.has(url.port) ? UNREACHABLE : 'Files are not fetched from that port.',
    );
    const addresses = await orAborted(this.#resolve(host), signal);
    if (addresses.length === 0) throw refused;
    if (this.#allowed.host(host) || addresses.every(({ address }) => this.#allowed.address(address))) {
      return addresses;
    }
    const own = new Allowed(this.#own());
    const mayReach = ({ address }: Address) =>
      this.#allowed.address(address) || (isPublic(address) && !own.address(address));
    if (!PORTS.has(url.port) || !addresses.every(mayReach)) throw refused;
    return addresses;
  }

  async #resolve(host: string): Promise<readonly Address[]> {
    const family = isIP(host);
    if (family > 0) return [{ address: host, family }];
    try {
      return await this.#lookup(host);
    } catch {
      return [];
    }
  }

  async #get(
    url: URL,
    addresses: readonly Address[],
    kind: MediaKind,
    stop: Stop,
    allowance: Allowance,
  ): Promise<Media | { location: string }> {
    const connection = new Connection(url, addresses, this.#ca);
    try {
      const answer = await connection.get(kind === 'image' ? 'image/*' : '*/*', stop.signal);
      stop.came(PACE.least);
      const { statusCode: status, headers } = answer;
      const location = [headers['location']].flat()[0];
      if ([301, 302, 303, 307, 308].includes(status) && location !== undefined) return { location };
      if (status !== 200) throw new MediaError(`The URL answers with HTTP ${status}.`);
      const coding = [headers['content-encoding']].flat().join();
      // It was not asked for, and what it unpacks to may be anything.
      if (coding !== '' && coding !== 'identity')
        throw new MediaError('The URL answers with a compressed file.');
      const bytes = await this.#read(answer, stop, allowance);
      const file = typed(bytes, String(headers['content-type'] ?? ''), kind);
      if (file === null) {
        throw new MediaError(
          kind === 'image' ? 'The URL holds no image.' : 'The URL holds no file that can be read.',
        );
      }
      return { mediaType: file.mediaType, url: await dataUrl(file.mediaType, file.bytes) };
    } finally {
      connection.end();
    }
  }

  async #read({ headers, body }: Dispatcher.ResponseData, stop: Stop, allowance: Allowance): Promise<Buffer> {
    const announced = Number(headers['content-length'] ?? 0);
    this.#check(announced, allowance.bytes - announced);
    const chunks: Buffer[] = [];
    let size = 0;
    for await (const chunk of body as AsyncIterable<Buffer>) {
      size += chunk.length;
      allowance.bytes -= chunk.length;
      stop.came(chunk.length);
      this.#check(size, allowance.bytes);
      chunks.push(chunk);
    }
    return Buffer.concat(chunks, size);
  }

  /** `left`: of the request's bytes, after this. */
  #check(size: number, left: number): void {
    if (size > this.#most) throw new MediaError(`The file is larger than ${megabytes(this.#most)}.`);
    if (left < 0) {
      throw new MediaError(
        `The files of the request are larger than ${megabytes(this.#mostOfRequest)} together.`,
      );
    }
  }
}

/** The files of one request: each URL is fetched once, and its failure is one for all that ask. */
export class RequestMedia {
  readonly #fetcher: MediaFetcher;
  readonly #allowance: Allowance;
  readonly #files = new Map<string, Promise<Media>>();

  constructor(fetcher: MediaFetcher, mostBytes: number) {
    this.#fetcher = fetcher;
    this.#allowance = { bytes: mostBytes };
  }

  get(url: string, kind: MediaKind, limits: MediaLimits): Promise<Media> {
    const key = `${kind} ${url}`;
    let file = this.#files.get(key);
    if (file === undefined) {
      file = this.#fetcher.fetch(url, kind, limits, this.#allowance);
      this.#files.set(key, file);
    }
    return file;
  }
}

/** Throws for what is not to be fetched, whatever is there. */
function parse(text: string, base?: URL): URL {
  if (text.length > LONGEST_URL || !URL.canParse(text, base?.href))
    throw new MediaError('The URL is not valid.');
  const url = new URL(text, base?.href);
  if (url.protocol !== 'https:' && url.protocol !== 'http:') {
    throw new MediaError('Only https and http URLs can be fetched.');
  }
  if (url.username !== '' || url.password !== '') {
    throw new MediaError('A URL with a user name or password is not fetched.');
  }
  return url;
}

function ownAddresses(): string[] {
  return Object.values(networkInterfaces()).flatMap(
    (addresses) => addresses?.map(({ address }) => address) ?? [],
  );
}

function megabytes(bytes: number): string {
  return `${Math.round((bytes / 1024 / 1024) * 10) / 10} MB`;
}
