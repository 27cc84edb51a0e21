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
  readonly #tenants = new Pieces((tenant) => `,"tenant":${tenant},"key":`);
  readonly #keys = new Pieces((key) => `${key},"model":`);
  readonly #models = new Pieces((model) => `${model},"target":`);
  readonly #targets = new Pieces((target) => `${target},"status":`);
  readonly #answeringTries = new Pieces((target) => `{"target":${target},"outcome":"ok","status":200,"ms":`);

  /** With its line end. */
  of(entry: RequestEntry, { wall, ms, gatewayMs }: Times): string {
    const { principal, model, target, status, outcome, firstTokenMs, spent } = entry;
    const tenant = this.#tenants.of(principal === null ? null : principal.tenant.id);
    const key = this.#keys.of(principal === null ? null : principal.key);
    const who = `${JSON.stringify(entry.id)}${tenant}${key}${this.#models.of(model)}`;
    const how = `${this.#targets.of(target)}${status},"outcome":"${outcome}","stream":${entry.stream}`;
    const firstToken = firstTokenMs === null ? 'null' : millisecondsOf(firstTokenMs);
    const times = `${firstToken},"ms":${millisecondsOf(ms)},"gateway_ms":${millisecondsOf(gatewayMs)}`;
    const took = spent === null ? 'null,"cost_usd":null' : tookOf(spent);
    return `{"level":30,"time":${wall},"msg":"request","id":${who}${how},"tries":[${this.#tries(entry.tries)}],"first_token_ms":${times},"tokens":${took}${restOf(entry)}}\n`;
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
