/** Shared state cannot be reached, or does not take what is written. */
export class StateUnavailable extends Error {
  constructor(why: string, options?: ErrorOptions) {
    super(why, options);
    this.name = 'StateUnavailable';
  }
}
