/** What a command is given beside its arguments. Tests hand in their own. */
export interface Terminal {
  env: Readonly<Record<string, string | undefined>>;
  out(text: string): void;
  err(text: string): void;
}

/** What a command ends with: 0 all is well, 1 the configuration is faulty or it could not be done, 2 it was called wrongly. */
export type ExitStatus = 0 | 1 | 2;
