import type { RolloutClients } from '../aws.ts';
import type { Place } from '../config/parameters.ts';
import type { Settings } from '../settings.ts';
import type { SayRollout } from './events.ts';
import type { Pace } from './pace.ts';

/** What every part of a rollout needs, made once by the verb. */
export type Context = {
  readonly clients: RolloutClients;
  readonly place: Place;
  readonly app: Settings;
  readonly pace: Pace;
  readonly say: SayRollout;
  readonly signal: AbortSignal;
};
