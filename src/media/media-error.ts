/**
 * A picture or file could not be fetched. The message is for the client: it says nothing of what there is on the inside network, and so not whether
 * a host is refused, unknown, or does not answer.
 */
export class MediaError extends Error {
  /** Where it stands in the request, such as `messages[2].content[0]`; '' where that is not known. */
  readonly param: string;

  constructor(message: string, param = '') {
    super(message);
    this.name = 'MediaError';
    this.param = param;
  }
}
