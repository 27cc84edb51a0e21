/** The target cannot take the request: it goes to one that can, and is a 400 if there is none. */
export class Unsupported extends Error {
  /** The client's parameter, such as `n` or `messages[2].content[0]`. */
  readonly param: string;

  /** `message`: a sentence for the client without the target's name, such as "Audio input is not supported." */
  constructor(param: string, message: string) {
    super(message);
    this.name = 'Unsupported';
    this.param = param;
  }
}
