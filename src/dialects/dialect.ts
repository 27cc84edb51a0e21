import type { Presenter } from '../chat/presenter.ts';
import type { JsonObject } from '../core/json.ts';
import type { JsonBody } from '../core/json-body.ts';
import type { Dialect } from '../providers/adapter.ts';

/** A request as far as a relay must understand it. */
export interface ClientRequest {
  dialect: Dialect;
  body: JsonBody;
  /** The name that the client asked for. */
  model: string;
  streaming: boolean;
  /** The client asked for the usage chunk of its stream; always where the dialect has usage in every stream. */
  wantsUsage: boolean;
  /**
   * The same in OpenAI's chat completions, for targets that do not speak the dialect; made once. Throws `Unsupported` for what chat has no
   * words for. For `chat` it is `body`.
   */
  chat(): JsonBody;
  /** What `chat()` leaves out because chat has no words for it and an answer can do without, by the client's names. Left out itself: nothing. */
  readonly dropped?: readonly string[];
  /** Its answer stays with the host that gives it, or has what a chat has not. Left out: neither. */
  readonly isTied?: boolean;
  /** The client's name of a parameter of `chat()`; null: the client sent nothing of the kind. Left out: it is the same. */
  name?(param: string): string | null;
}

/** An error as a client is told of it. */
export interface ErrorFields {
  message: string;
  /** OpenAI's. */
  type: string;
  param: string | null;
  code: string;
}

/** In whose words a client speaks: how its requests are read, and how it is answered. */
export interface ClientDialect {
  readonly name: Dialect;
  /** What bounds the tokens of an answer; null: nothing does. */
  readonly maximum: string | null;
  /** Throws an ApiError that names the field. Whatever is not needed is passed on unseen. */
  read(bytes: Buffer): ClientRequest;
  /** A whole answer, from a chat completion. `id`: a new one, never used before, without a prefix. */
  answer(completion: JsonObject, request: ClientRequest, id: string): JsonObject;
  /** For one stream. `created`: seconds since 1970. */
  presenter(request: ClientRequest, id: string, created: number): Presenter;
  /** The body of an error answer. `requestId`: as in `x-request-id`. */
  error(error: ErrorFields, status: number, requestId: string): JsonObject;
}
