import { createCipheriv, createDecipheriv, createHmac, hkdfSync, randomBytes } from 'node:crypto';
import { updateInSteps } from '../core/hash-in-steps.ts';

/** Of AES-256-GCM, in bytes. */
const KEY_LENGTH = 32;
const NONCE_LENGTH = 12;
const TAG_LENGTH = 16;

/** Begins a text that is sealed; what is kept as it is begins with another letter. */
const SEALED = 's';
const OPEN = 'o';

/** Goes before each part, so that none can reach into the next. */
function lengthOf(part: string | Buffer): string {
  return `${Buffer.byteLength(part)}:`;
}

/** Seals what is kept of answers outside of this process, where there is a key to do it with. */
export class Seal {
  readonly #key: Buffer | null;
  readonly #marks: string | Buffer;

  /** `secret`: any text that all gateways share; null = nothing is sealed. */
  constructor(secret: string | null) {
    // The text may be anything; a key has 32 bytes and no pattern.
    this.#key =
      secret === null
        ? null
        : Buffer.from(hkdfSync('sha256', secret, '', 'spillway kept answers', KEY_LENGTH));
    this.#marks =
      secret === null ? '' : Buffer.from(hkdfSync('sha256', secret, '', 'spillway marks', KEY_LENGTH));
  }

  /**
   * A short text in place of these parts, the same for the same ones. It does not tell them; where there is a key, nobody without it can
   * find out by trying which they were.
   */
  mark(...parts: readonly (string | Buffer)[]): string {
    const hash = createHmac('sha256', this.#marks);
    for (const part of parts) hash.update(lengthOf(part)).update(part);
    return hash.digest('base64url');
  }

  /** The same, of parts of which some may be large: others have their turn in between. */
  async markInSteps(...parts: readonly (string | Buffer)[]): Promise<string> {
    const hash = createHmac('sha256', this.#marks);
    for (const part of parts) {
      hash.update(lengthOf(part));
      if (typeof part === 'string') hash.update(part);
      else await updateInSteps(hash, part);
    }
    return hash.digest('base64url');
  }

  /** `about`: what it is kept for, such as its name in Redis: it opens under no other. */
  seal(text: string, about: string): string {
    if (this.#key === null) return OPEN + text;
    const nonce = randomBytes(NONCE_LENGTH);
    const cipher = createCipheriv('aes-256-gcm', this.#key, nonce).setAAD(Buffer.from(about));
    const sealed = Buffer.concat([nonce, cipher.update(text, 'utf8'), cipher.final(), cipher.getAuthTag()]);
    return SEALED + sealed.toString('base64');
  }

  /** Null for what was not sealed with this key for this purpose: it is as good as not there. */
  open(text: string, about: string): string | null {
    if (this.#key === null) return text.startsWith(OPEN) ? text.slice(1) : null;
    if (!text.startsWith(SEALED)) return null;
    const bytes = Buffer.from(text.slice(1), 'base64');
    if (bytes.length < NONCE_LENGTH + TAG_LENGTH) return null;
    const decipher = createDecipheriv('aes-256-gcm', this.#key, bytes.subarray(0, NONCE_LENGTH))
      .setAAD(Buffer.from(about))
      .setAuthTag(bytes.subarray(-TAG_LENGTH));
    try {
      const opened = decipher.update(bytes.subarray(NONCE_LENGTH, -TAG_LENGTH));
      return Buffer.concat([opened, decipher.final()]).toString();
    } catch {
      return null;
    }
  }
}
