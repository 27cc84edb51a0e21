import type { Headers } from './exchange.ts';

/** What one of them says; null: it is not among them. */
export function headerIn(headers: Headers, name: string): string | null {
  for (let at = 0; at < headers.length; at += 2) {
    if (headers[at] === name) return headers[at + 1] ?? null;
  }
  return null;
}

/** Those that are wanted, by their names: to be kept. */
export function keptHeaders(headers: Headers, isWanted: (name: string) => boolean): Record<string, string> {
  const kept: Record<string, string> = {};
  for (let at = 0; at < headers.length; at += 2) {
    const name = headers[at] as string;
    if (isWanted(name)) kept[name] = headers[at + 1] as string;
  }
  return kept;
}

/** Headers that were kept, or are known by their names, added to those of an answer. */
export function addHeaders(
  to: Headers,
  added: Readonly<Record<string, string>>,
  isWanted: (name: string) => boolean = () => true,
): void {
  for (const [name, value] of Object.entries(added)) {
    if (isWanted(name)) to.push(name, value);
  }
}
