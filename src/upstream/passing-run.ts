/** Of the bytes at hand, events side by side that pass as they came: they are written as one. */
export class PassingRun {
  #bytes: Buffer | null = null;
  #start = 0;
  #end = 0;

  /** Nothing of a run is left of the bytes before. Null: there are none. */
  over(bytes: Buffer | null): void {
    this.#bytes = bytes;
    this.#start = 0;
    this.#end = 0;
  }

  isOver(bytes: Buffer): boolean {
    return bytes === this.#bytes;
  }

  /** Where these bytes begin in those at hand; -1: they are none of them. Small buffers share their memory with others that have nothing to do with them. */
  placeOf(part: Buffer): number {
    const bytes = this.#bytes;
    if (bytes === null || part.buffer !== bytes.buffer) return -1;
    const at = part.byteOffset - bytes.byteOffset;
    return at >= 0 && at + part.length <= bytes.length ? at : -1;
  }

  /** Adds what stands there; false: it is not beside the run, which has to be taken first. */
  add(start: number, end: number): boolean {
    if (this.#end > this.#start && this.#end !== start) return false;
    if (this.#end <= this.#start) this.#start = start;
    this.#end = end;
    return true;
  }

  /** The run, if there is one. */
  take(): Buffer | null {
    const bytes = this.#bytes;
    const start = this.#start;
    const end = this.#end;
    if (bytes === null || end <= start) return null;
    this.#start = 0;
    this.#end = 0;
    return start === 0 && end === bytes.length ? bytes : bytes.subarray(start, end);
  }
}
