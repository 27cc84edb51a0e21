import { createHook } from 'node:async_hooks';
import { setFlagsFromString } from 'node:v8';

/** What V8 is told, an option of `node` as well. */
export const KEEP_SHAPES = '--no-memory-reducer-favors-memory';

/** Objects that are kept for their shape, which others will have. */
export const KEPT: object[] = [];

/**
 * Has this process keep its compiled code through quiet minutes, and come to good code in the first place.
 *
 * A hundred seconds after its last full collection V8 makes another, to give memory back, and in that one forgets the shape of every object of which none is
 * alive just then: between two requests nearly all of theirs. Code compiled for these shapes goes with them, and the next ten thousand requests and more take up to four
 * times the processor's time. Told this, V8 collects as much, keeps the shapes, and gives less memory back.
 *
 * While nothing is compiled yet, every full collection forgets them, and a process that nobody asks for some forty seconds has one. For most code the next object
 * makes up for that; `process.nextTick`, which ran at the start and runs many times for each request, then takes the slow way for good. So one of its objects stays alive.
 */
export function keepCompiledCode(): void {
  setFlagsFromString(KEEP_SHAPES);
  const made = createHook({
    init: (_id, type, _trigger, resource) => {
      if (type === 'TickObject') KEPT.push(resource);
    },
  }).enable();
  process.nextTick(() => {});
  made.disable();
}
