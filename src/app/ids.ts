import { randomUUID } from 'node:crypto';

/** Ids that are never given twice: a random beginning for the process, then a count. Shorter to make than random ones. */
export function newIds(): () => string {
  const prefix = randomUUID().replaceAll('-', '').slice(0, 16);
  let count = 0;
  return () => `${prefix}${(count++).toString(36).padStart(7, '0')}`;
}
