import { randomUUID } from 'node:crypto';

/** All that two digits can be. */
const LAST_DIGITS: readonly string[] = Array.from({ length: 36 ** 2 }, (_, of) =>
  of.toString(36).padStart(2, '0'),
);

/** Ids that are never given twice: a random beginning for the process, then a count. Shorter to make than random ones. */
export function newIds(): () => string {
  const ofProcess = randomUUID().replaceAll('-', '').slice(0, 16);
  let count = 0;
  let beginning = '';
  return () => {
    const last = count % LAST_DIGITS.length;
    if (last === 0) {
      const digits = (count / LAST_DIGITS.length).toString(36).padStart(5, '0');
      beginning = `${ofProcess}${digits}`;
    }
    count++;
    return `${beginning}${LAST_DIGITS[last]}`;
  };
}
