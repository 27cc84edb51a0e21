import type { JsonObject } from '../core/json.ts';
import type { BreakerSettings, RetrySettings, TimeoutSettings } from '../resilience/settings.ts';

/** One provider and one model, with all that the node inherited. */
export interface TargetSettings {
  /** `provider/model`. */
  id: string;
  provider: string;
  model: string;
  /** Merged over what the client sent, `model` left out (it is above); null removes a parameter. */
  overrideParams: JsonObject;
  retry: RetrySettings;
  timeouts: TimeoutSettings;
  breaker: BreakerSettings;
  /** What the target cannot take of a request is an error, not dropped. */
  strictParams: boolean;
  /** Markers for the provider's prompt cache are placed where the client placed none. */
  cacheMarkers: boolean;
  /** What becomes of a stream that breaks after content was sent. */
  midStream: 'error' | 'continue';
  /** Does the model go on from an assistant prefill? Null: as the table of capabilities says. */
  prefill: boolean | null;
  /** How long its whole answers are kept for equal requests, in milliseconds; null: they are not. */
  cacheTtl: number | null;
}
