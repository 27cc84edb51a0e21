import { createHash } from 'node:crypto';
import type { Family } from './target.ts';

/** What Claude takes, and Bedrock of all others took before it allowed `.` and `:`, which some models put into their own. */
const PLAIN = /^[A-Za-z0-9_-]{1,64}$/;
const WITH_DOTS = /^[A-Za-z0-9_.:-]{1,64}$/;
const NINE = /^[A-Za-z0-9]{9}$/;

const LETTERS = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789';

/**
 * A tool call's id as this family takes it. Another provider's, or one that a client made up, may be too long or have other characters; it becomes
 * one that is made from it, so that a call and its result keep the same, in this request and in the next one.
 */
export function callIdFor(family: Family, id: string): string {
  if (family === 'mistral') return NINE.test(id) ? id : nineLetters(id);
  const isFit = family === 'claude' ? PLAIN : WITH_DOTS;
  return isFit.test(id) ? id : `call_${createHash('sha256').update(id).digest('hex').slice(0, 40)}`;
}

/** Cutting would not do: many begin with the same letters. */
function nineLetters(id: string): string {
  const hash = createHash('sha256').update(id).digest();
  return Array.from(hash.subarray(0, 9), (byte) => LETTERS[byte % LETTERS.length]).join('');
}

/** A tool's name in the history: a model may have made up one that is not allowed there. */
export function toolNameFor(name: string): string {
  return name.replace(/[^A-Za-z0-9_-]/g, '_').slice(0, 64);
}
