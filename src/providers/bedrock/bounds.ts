import type { Source } from '../../chat/conversation.ts';
import { Unsupported } from '../adapter.ts';
import type { Target } from './target.ts';

/** The SDK's documentation of a message's content. */
const MOST_IMAGES = 20;
/** Bytes: 3.75 MB, which are 5 MB of base64. */
const LARGEST_IMAGE = 3.75 * 1024 * 1024;
/** In a request, says Amazon's page on restrictions of its API. */
const MOST_DOCUMENTS = 5;
/** Bytes: 4.5 MB. */
const LARGEST_DOCUMENT = 4.5 * 1024 * 1024;

/** How much Converse takes of pictures and documents. What is more than that another provider may well take. */
export class Bounds {
  readonly #target: Target;
  #images = 0;
  #documents = 0;

  constructor(target: Target) {
    this.#target = target;
  }

  /** Pictures are counted in each message. */
  nextMessage(): void {
    this.#images = 0;
  }

  image(source: Source, at: string): void {
    if (++this.#images > MOST_IMAGES) {
      throw new Unsupported(at, `At most ${MOST_IMAGES} images in a message are supported.`);
    }
    if (sizeOf(source) > LARGEST_IMAGE) throw new Unsupported(at, 'An image can have at most 3.75 MB.');
  }

  document(format: string, source: Source, at: string): void {
    if (++this.#documents > MOST_DOCUMENTS) {
      throw new Unsupported(at, `At most ${MOST_DOCUMENTS} documents in a request are supported.`);
    }
    if (sizeOf(source) > LARGEST_DOCUMENT && !takesLarge(format, this.#target)) {
      throw new Unsupported(at, 'A document of this kind can have at most 4.5 MB.');
    }
  }
}

/** The same page: the bound does not hold for PDF with Claude from 4 on, nor for PDF and DOCX with Nova. */
function takesLarge(format: string, { family, model }: Target): boolean {
  if (family === 'nova') return format === 'pdf' || format === 'docx';
  return family === 'claude' && format === 'pdf' && !/claude-(?:3|v2|instant)/.test(model.toLowerCase());
}

/** Bytes; 0 where it is not at hand. */
function sizeOf(source: Source): number {
  return source.kind === 'data' ? Buffer.byteLength(source.data, 'base64') : 0;
}
