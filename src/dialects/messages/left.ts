/** Clients make names up; those that go into a header are of such characters and no longer. */
const TELLABLE = /^[\w.-]{1,64}$/;

/** No more are named one by one. */
const MOST_NAMES = 32;

/** Stands for all that cannot be named. */
const OTHERS = 'others';

/** What chat completions have no words for and an answer can do without: left out, and named by the client's names. */
export class Left {
  readonly names: string[] = [];

  /** `name` is left out unless `nothing` was asked for by it. */
  unless(nothing: boolean, name: string): void {
    if (nothing) return;
    const told = TELLABLE.test(name) && this.names.length < MOST_NAMES ? name : OTHERS;
    if (!this.names.includes(told)) this.names.push(told);
  }
}
