import type { Principal } from '../auth/keyring.ts';
import type { TryRecord } from '../core/outcome.ts';
import { type CacheSaved, NANODOLLARS, type PartSpent, type Spent } from '../core/usage.ts';
import type { RequestEntry } from './request-entry.ts';
import { millisecondsOf, numberOf, Pieces } from './text.ts';

/** When a line is written, and what the request took. Milliseconds. */
export interface Times {
  /** Since 1970. */
  wall: number;
  ms: number;
  gatewayMs: number;
}

/**
 * Writes the line of the log for each request. It is put together by hand, of pieces as long as they can be made beforehand: first the
 * fields that are always there, then those that only some requests have.
 */
export class RequestLines {
  readonly #principals = new WeakMap<Principal, string>();
  readonly #models = new Pieces((model) => `${model},"target":`);
  readonly #targets = new Pieces((target) => `${target},"status":`);
  readonly #answeringTries = new Pieces((target) => `{"target":${target},"outcome":"ok","status":200,"ms":`);

  /** With its line end. */
  of(entry: RequestEntry, { wall, ms, gatewayMs }: Times): string {
    const { principal, model, target, status, outcome, stream, firstTokenMs, spent } = entry;
    const who = principal === null ? NOBODY : this.#who(principal);
    const how =
      status === 200 && outcome === 'ok' && !stream
        ? WELL
        : `${status},"outcome":"${outcome}","stream":${stream},"tries":[`;
    const times =
      firstTokenMs === null
        ? '],"first_token_ms":null,"ms":'
        : `],"first_token_ms":${millisecondsOf(firstTokenMs)},"ms":`;
    const took = spent === null ? 'null,"cost_usd":null' : tookOf(spent);
    return `{"level":30,"time":${wall},"msg":"request","id":${JSON.stringify(entry.id)}${who}${this.#models.of(model)}${this.#targets.of(target)}${how}${this.#tries(entry.tries)}${times}${millisecondsOf(ms)},"gateway_ms":${millisecondsOf(gatewayMs)},"tokens":${took}${restOf(entry)}}\n`;
  }

  #who(principal: Principal): string {
    let who = this.#principals.get(principal);
    if (who === undefined) {
      who = whoIs(principal.tenant.id, principal.key);
      this.#principals.set(principal, who);
    }
    return who;
  }

  #tries(tries: readonly TryRecord[]): string {
    let text = '';
    for (const { target, outcome, status, ms } of tries) {
      if (text !== '') text += ',';
      text +=
        outcome === 'ok' && status === 200
          ? this.#answeringTries.of(target)
          : `{"target":${JSON.stringify(target)},"outcome":"${outcome}","status":${status},"ms":`;
      text += `${millisecondsOf(ms)}}`;
    }
    return text;
  }
}

function whoIs(tenant: string | null, key: string | null): string {
  return `,"tenant":${JSON.stringify(tenant)},"key":${JSON.stringify(key)},"model":`;
}

const NOBODY = whoIs(null, null);

/** How most requests end. */
const WELL = '200,"outcome":"ok","stream":false,"tries":[';

/** `cache_write` stands there only where there were some, `estimated` where they were counted here. */
function tookOf({ usage, estimated, cost }: Spent): string {
  const { input, output, cached, cacheWrite, reasoning } = usage;
  const written = cacheWrite > 0 ? `,"cache_write":${numberOf(cacheWrite)}` : '';
  const end = estimated ? ',"estimated":true},"cost_usd":' : '},"cost_usd":';
  const dollars = cost === null ? 'null' : numberOf(cost / NANODOLLARS);
  return `{"input":${numberOf(input)},"output":${numberOf(output)},"cached":${numberOf(cached)}${written},"reasoning":${numberOf(reasoning)}${end}${dollars}`;
}

/** What most requests have not: it is left out there. */
function restOf({ spent, cache, replayed, error, quota, prompt, answer }: RequestEntry): string {
  return `${member('parts', spent?.parts?.map(partOf))}${member('cache_saved_usd', savedBy(spent?.cacheSaved))}${member('cache', cache)}${member('replayed', replayed)}${member('error', error)}${member('quota', quota)}${member('prompt', prompt)}${member('answer', answer)}`;
}

function member(name: string, value: unknown): string {
  return value === undefined ? '' : `,"${name}":${JSON.stringify(value)}`;
}

/** Who wrote how much of an answer that was gone on with. */
function partOf({ target, usage, cost }: PartSpent): object {
  return { target, output: usage.output, cost_usd: cost === null ? null : cost / NANODOLLARS };
}

/** Dollars, all in all; below 0 where more was written than read. */
function savedBy(saved: CacheSaved | undefined): number | undefined {
  return saved === undefined ? undefined : (saved.read - saved.written) / NANODOLLARS;
}
