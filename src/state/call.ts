import type { Clock, Timer } from '../core/clock.ts';
import type { Script } from './client.ts';
import type { Connection, Words } from './connection.ts';
import type { Node } from './node.ts';
import { codeOf, type ErrorReply, inWords, isReply, redirectionOf, refusalOf } from './replies.ts';
import type { Topology } from './topology.ts';
import { StateUnavailable } from './unavailable.ts';
import { whyOf } from './why.ts';
import { afterReading, noAnswer } from './within.ts';

export interface CallOptions {
  topology: Topology;
  clock: Clock;
  commandTimeout: number;
}

/** A command, and whom it is for. */
export interface Request {
  /** What decides which node it goes to. */
  key: string;
  command: string;
  words: Words;
  /** It is named by its hash in the first word; it is sent whole to a node that does not know it. */
  script: Script | null;
}

/** More than a cluster sends anybody around while slots are being moved. */
const REDIRECTIONS = 5;
/** Some keys of a slot are here and some there: it is asked again when a few more have been moved. Milliseconds. */
const TRY_AGAIN = 20;

/**
 * One command on its way. It is sent again only where the answer says that it was not carried out: by a node that has not got the
 * slot, or not the script.
 */
export class Call {
  readonly promise: Promise<unknown>;
  readonly #options: CallOptions;
  readonly #request: Request;
  readonly #limit: { cancel(): void };
  #resolve!: (reply: unknown) => void;
  #reject!: (error: Error) => void;
  #done = false;
  #node: Node | null = null;
  #connection: Connection | null = null;
  #asking = false;
  #whole = false;
  #redirections = 0;
  /** Not null once it was told to try again. */
  #again: Timer | null = null;

  constructor(request: Request, options: CallOptions) {
    this.#options = options;
    this.#request = request;
    this.promise = new Promise((resolve, reject) => {
      this.#resolve = resolve;
      this.#reject = reject;
    });
    this.#limit = afterReading(options.clock, options.commandTimeout, () => this.#expire());
    this.#start();
  }

  #start(): void {
    const { topology } = this.#options;
    const node = topology.nodeFor(this.#request.key);
    if (node !== null) {
      this.#goTo(node, false);
      return;
    }
    void topology.known.then(() => {
      const found = topology.nodeFor(this.#request.key);
      if (found !== null) this.#goTo(found, false);
      else this.#unavailable('redis', topology.why ?? 'no node holds this slot');
    });
  }

  #goTo(node: Node, asking: boolean): void {
    this.#node = node;
    this.#asking = asking;
    this.#connection = null;
    const { connection } = node.link;
    if (!node.up) this.#unavailable(node.name, node.why);
    else if (connection !== null) this.#send(connection);
    else {
      // It was never connected to yet. Should that fail, it is thought to be away.
      node.link.next().then(
        (opened) => this.#send(opened),
        (error: Error) => this.#unavailable(node.name, error.message),
      );
    }
  }

  #send(connection: Connection): void {
    if (this.#done) return;
    this.#connection = connection;
    const { command, words, script } = this.#request;
    // Both go out together, and it holds for the very next command.
    if (this.#asking) connection.send('ASKING', []).catch(() => {});
    const sent =
      this.#whole && script !== null
        ? connection.send('EVAL', [script.lua, ...words.slice(1)])
        : connection.send(command, words);
    sent.then(this.#answered, this.#failed);
  }

  readonly #answered = (reply: unknown): void => {
    if (!this.#end()) return;
    this.#resolve(reply);
  };

  readonly #failed = (error: Error): void => {
    const [node, connection] = [this.#node, this.#connection];
    if (this.#done || node === null || connection === null) return;
    if (!isReply(error)) this.#giveUp(node, whyOf(error));
    else if (!this.#sendAgain(error, node, connection)) this.#refused(error, node);
  };

  /** Where it was not carried out, because the node has not got the script or the slot. False if there is nothing else to be tried. */
  #sendAgain(reply: ErrorReply, node: Node, connection: Connection): boolean {
    if (codeOf(reply) === 'NOSCRIPT' && this.#request.script !== null && !this.#whole && connection.open) {
      this.#whole = true;
      this.#send(connection);
      return true;
    }
    const redirection = redirectionOf(reply);
    const elsewhere = redirection === null ? null : this.#options.topology.redirect(redirection, node);
    if (elsewhere === null || this.#redirections++ >= REDIRECTIONS) return false;
    this.#goTo(elsewhere, redirection?.kind === 'ASK');
    return true;
  }

  #refused(reply: ErrorReply, node: Node): void {
    const refusal = refusalOf(reply);
    if (refusal === 'TRYAGAIN') {
      // Whoever has the slot sends it there and is right to, each time.
      this.#redirections = 0;
      this.#again = this.#options.clock.schedule(TRY_AGAIN, () => this.#start());
    } else if (refusal !== null) this.#giveUp(node, inWords(refusal));
    else if (this.#end()) this.#reject(reply);
  }

  /** The node is to blame: others need not find out for themselves. */
  #giveUp(node: Node, why: string): void {
    if (node.up) node.fail(why);
    this.#unavailable(node.name, why);
  }

  #expire(): void {
    const why = noAnswer(this.#options.commandTimeout);
    // No answer may be due just now, but it is the slot that is on its way: others need not know.
    if (this.#again !== null) this.#unavailable(this.#node?.name ?? 'redis', inWords('TRYAGAIN'));
    else if (this.#node === null) this.#unavailable('redis', why);
    else this.#giveUp(this.#node, why);
  }

  #unavailable(node: string, why: string | null): void {
    if (this.#end()) this.#reject(new StateUnavailable(`${node}: ${why ?? 'it is away'}`));
  }

  /** False if it has ended before. */
  #end(): boolean {
    if (this.#done) return false;
    this.#done = true;
    this.#limit.cancel();
    this.#again?.cancel();
    return true;
  }
}
