import type { Principal } from '../auth/keyring.ts';
import type { TryRecord } from '../core/outcome.ts';
import { type CacheSaved, NANODOLLARS, type PartSpent, type Spent, type Usage } from '../core/usage.ts';
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
  readonly #answeringTries = new Pieces(answeringTry);
  /** Of a request that its only try answered, as most are: all from the target to what the try took. */
  readonly #answeredAtOnce = new Pieces(
    (target) => `${target},"status":200,"outcome":"ok","stream":false,"tries":[${answeringTry(target)}`,
  );

  /** With its line end. */
  of(entry: RequestEntry, { wall, ms, gatewayMs }: Times): string {
    const { id, principal, model, firstTokenMs, spent } = entry;
    const who = principal === null ? NOBODY : this.#who(principal);
    const first = firstTokenMs === null ? 'null' : millisecondsOf(firstTokenMs);
    const took = spent === null ? 'null,"cost_usd":null' : tookOf(spent);
    return `{"level":30,"time":${wall},"msg":"request","id":"${id}${who}${this.#models.of(model)}${this.#how(entry)}],"first_token_ms":${first},"ms":${millisecondsOf(ms)},"gateway_ms":${millisecondsOf(gatewayMs)},"tokens":${took}${restOf(entry)}}\n`;
  }

  #who(principal: Principal): string {
    let who = this.#principals.get(principal);
    if (who === undefined) {
      who = whoIs(principal.tenant.id, principal.key);
      this.#principals.set(principal, who);
    }
    return who;
  }

  /** From the target to the last of the tries. */
  #how({ target, status, outcome, stream, tries }: RequestEntry): string {
    const first = tries[0];
    if (status === 200 && outcome === 'ok' && !stream && tries.length === 1 && first?.target === target) {
      if (isAnswer(first)) return `${this.#answeredAtOnce.of(target)}${millisecondsOf(first.ms)}}`;
    }
    return `${this.#targets.of(target)}${status},"outcome":"${outcome}","stream":${stream},"tries":[${this.#tries(tries)}`;
  }

  #tries(tries: readonly TryRecord[]): string {
    let text = '';
    for (const one of tries) {
      if (text !== '') text += ',';
      const { target, outcome, status, ms } = one;
      text += isAnswer(one)
        ? this.#answeringTries.of(target)
        : `{"target":${JSON.stringify(target)},"outcome":"${outcome}","status":${status},"ms":`;
      text += `${millisecondsOf(ms)}}`;
    }
    return text;
  }
}

/** Up to what it took. `target`: as JSON has it. */
function answeringTry(target: string): string {
  return `{"target":${target},"outcome":"ok","status":200,"ms":`;
}

function isAnswer({ outcome, status }: TryRecord): boolean {
  return outcome === 'ok' && status === 200;
}

function whoIs(tenant: string | null, key: string | null): string {
  return `","tenant":${JSON.stringify(tenant)},"key":${JSON.stringify(key)},"model":`;
}

const NOBODY = whoIs(null, null);

/** `estimated` stands there only where they were counted here. */
function tookOf({ usage, estimated, cost }: Spent): string {
  const end = estimated ? ',"estimated":true},"cost_usd":' : '},"cost_usd":';
  const dollars = cost === null ? 'null' : numberOf(cost / NANODOLLARS);
  return `{"input":${numberOf(usage.input)},"output":${numberOf(usage.output)}${partsOf(usage)}${end}${dollars}`;
}

/** What is part of the prompt and of the output. `cache_write` stands there only where there were some. */
function partsOf({ cached, cacheWrite, reasoning }: Usage): string {
  const written = cacheWrite > 0 ? `,"cache_write":${numberOf(cacheWrite)}` : '';
  if (cached === 0 && reasoning === 0 && written === '') return ',"cached":0,"reasoning":0';
  return `,"cached":${numberOf(cached)}${written},"reasoning":${numberOf(reasoning)}`;
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
