/** A model of a provider's prompt cache, as Anthropic's docs tell it: prefixes by hash, written and looked up at markers. */

export const LOOKBACK = 20;
export const LEAST = 1024;
export const MOST_MARKERS = 4;

export interface Block {
  /** What it says, without markers. */
  text: string;
  tokens: number;
  marked: boolean;
}

export interface Billed {
  read: number;
  written: number;
  fresh: number;
}

export class PromptCache {
  readonly #kept = new Set<string>();

  request(blocks: readonly Block[]): Billed {
    const prefixes: { key: string; tokens: number }[] = [];
    let key = '';
    let tokens = 0;
    for (const block of blocks) {
      key += `${JSON.stringify(block.text)}\n`;
      tokens += block.tokens;
      prefixes.push({ key, tokens });
    }
    const markers = blocks.flatMap(({ marked }, index) => (marked ? [index] : []));
    if (markers.length > MOST_MARKERS) throw new RangeError(`${markers.length} markers`);
    let read = 0;
    for (const marker of markers) {
      for (let at = marker; at >= 0 && at > marker - LOOKBACK; at--) {
        const prefix = prefixes[at];
        if (prefix !== undefined && this.#kept.has(prefix.key)) read = Math.max(read, prefix.tokens);
      }
    }
    let upTo = read;
    for (const marker of markers) {
      const prefix = prefixes[marker];
      if (prefix === undefined || prefix.tokens < LEAST) continue;
      this.#kept.add(prefix.key);
      upTo = Math.max(upTo, prefix.tokens);
    }
    return { read, written: upTo - read, fresh: tokens - upTo };
  }
}

/** Of what the same would cost without a cache, in tokens at full price: reads are a tenth, writes a quarter more. */
export function saved({ read, written }: Billed): number {
  return read * 0.9 - written * 0.25;
}
