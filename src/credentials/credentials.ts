/** One call that is to be authorized, as it will be sent. */
export interface UnsignedCall {
  method: 'POST';
  url: URL;
  /** Names in lower case. */
  headers: Readonly<Record<string, string>>;
  body: readonly Buffer[];
}

/** Who a provider is called as where no key is given: found, renewed and used by the vendors' own libraries. */
export interface Credentials {
  /**
   * Headers that authorize this very call: name, value … Rejects with `CredentialsError`. Never takes longer than a few seconds: its caller also bounds it.
   */
  authorize(call: UnsignedCall): Promise<readonly string[]>;
}

/** `refused`: there are none, or they are not good; otherwise whoever gives them out cannot be reached now. The message holds no secret. */
export class CredentialsError extends Error {
  readonly refused: boolean;

  constructor(message: string, refused: boolean) {
    super(message);
    this.name = 'CredentialsError';
    this.refused = refused;
  }
}

/** Which vendor's default credentials. */
export type Identity = 'aws' | 'google' | 'entra';
