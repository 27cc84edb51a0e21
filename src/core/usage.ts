/** Tokens of one answer. `cached` is part of `input`, `reasoning` is part of `output`. */
export interface Usage {
  input: number;
  output: number;
  cached: number;
  reasoning: number;
}
