/** What Anthropic takes as the id of a call; other providers also make ids with dots, colons and more. */
const FOREIGN = /[^a-zA-Z0-9_-]/g;

/** Ids of calls as Anthropic takes them: the same id always becomes the same, and two never become one. */
export class ToolIds {
  readonly #known = new Map<string, string>();
  readonly #taken = new Set<string>();

  of(id: string): string {
    const known = this.#known.get(id);
    if (known !== undefined) return known;
    const clean = id.replace(FOREIGN, '_') || '_';
    let free = clean;
    for (let count = 2; this.#taken.has(free); count++) free = `${clean}_${count}`;
    this.#known.set(id, free);
    this.#taken.add(free);
    return free;
  }
}
