const DURATION_UNITS = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000 } as const;
const SIZE_UNITS = { b: 1, kb: 1024, mb: 1024 ** 2, gb: 1024 ** 3 } as const;

/** How a duration is written, for messages. */
export const DURATION_FORM = 'a duration such as 250ms, 5s, 10m or 24h';
/** How a size is written, for messages. */
export const SIZE_FORM = 'a size such as 64kb or 32mb';

/** Longer ones are a slip of the pen: ten years, in milliseconds. */
const LONGEST = 10 * 365 * 24 * DURATION_UNITS.h;
/** More than a process can hold, in bytes. */
const LARGEST = 1024 ** 4;

/** `250ms`, `1.5s`, `10m`, `24h` or `0` in milliseconds; null for anything else, and for more than ten years. */
export function parseDuration(text: string): number | null {
  if (text.trim() === '0') return 0;
  const match = /^(\d+(?:\.\d+)?)(ms|s|m|h)$/.exec(text.trim());
  if (match === null) return null;
  const ms = Number(match[1]) * DURATION_UNITS[match[2] as keyof typeof DURATION_UNITS];
  return ms <= LONGEST ? ms : null;
}

/** `512b`, `64kb`, `1.5mb` or `1gb` in whole bytes, a kb being 1024; null for anything else, and for more than 1024 gb. */
export function parseSize(text: string): number | null {
  const match = /^(\d+(?:\.\d+)?)(b|kb|mb|gb)$/i.exec(text.trim());
  if (match === null) return null;
  const bytes = Math.floor(Number(match[1]) * SIZE_UNITS[match[2]?.toLowerCase() as keyof typeof SIZE_UNITS]);
  return bytes <= LARGEST ? bytes : null;
}

/** The shortest way to write that many milliseconds: 90000 is `90s`, 600000 is `10m`. */
export function formatDuration(ms: number): string {
  if (ms === 0) return '0';
  for (const unit of ['h', 'm', 's'] as const) {
    if (ms % DURATION_UNITS[unit] === 0) return `${ms / DURATION_UNITS[unit]}${unit}`;
  }
  return `${ms}ms`;
}

/** `272k`, `1.05m` or `204800`, a k being a thousand. */
export const TOKENS_FORM = 'a number of tokens such as 272k, 1m or 204800';

/** Null for what is no whole number above 0. */
export function parseTokens(text: string): number | null {
  const match = /^(\d{1,9}(?:\.\d{1,6})?)(k|m)?$/i.exec(text.trim());
  if (match === null) return null;
  const unit = { k: 1e3, m: 1e6 }[(match[2] ?? '').toLowerCase()] ?? 1;
  const count = Math.round(Number(match[1]) * unit * 1e6) / 1e6;
  return Number.isInteger(count) && count > 0 ? count : null;
}
