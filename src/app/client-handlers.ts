import type { Metrics } from '../accounting/metrics.ts';
import { ApiError } from '../core/errors.ts';
import { authenticate } from '../pipeline/authenticate.ts';
import { models } from '../pipeline/models.ts';
import { remove, resume } from '../pipeline/resume.ts';
import type { Services } from '../pipeline/services.ts';
import { usage } from '../pipeline/usage.ts';
import type { ClientHandlers } from '../server/client-handlers.ts';
import type { Admission } from './admission.ts';
import type { Current } from './current.ts';

export interface HandlerParts {
  admission: Admission;
  services: Services;
  metrics: Metrics;
  current: Current;
  failed(error: unknown): void;
}

/** What is done with the requests of clients, by what they ask for. Each is answered by the configuration that it began with. */
export function clientHandlers({
  admission,
  services,
  metrics,
  current,
  failed,
}: HandlerParts): ClientHandlers {
  const streams = {
    streams: services.replay.streams,
    clock: services.clock,
    resumed: () => {
      metrics.resumedStreams.value++;
    },
  };
  return {
    authenticate: (exchange, anyDialect) => {
      try {
        authenticate(exchange, current.live, { anyDialect });
        return null;
      } catch (error) {
        if (error instanceof ApiError) return error;
        throw error;
      }
    },
    admission,
    serve: (exchange) => {
      const refusal = admission.enter(exchange);
      if (refusal !== null) admission.refuse(exchange, refusal);
    },
    models: (exchange, id) => models(exchange, exchange.live ?? current.live, id),
    usage: (exchange) => usage(exchange, exchange.live ?? current.live, services.spending),
    resume: (exchange, id, after) => resume(exchange, exchange.live ?? current.live, { id, after }, streams),
    removeStream: (exchange, id) => {
      // Without a place, too, streams can be ended, which frees some; but those who wait take some.
      const mayWait = admission.place(exchange) === null;
      return remove(exchange, exchange.live ?? current.live, id, { streams: streams.streams, mayWait });
    },
    refuse: (exchange, error) => admission.refuse(exchange, error),
    failed,
  };
}
