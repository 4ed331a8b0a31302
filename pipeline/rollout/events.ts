import type { HostCause } from './console.ts';
import type { Plan } from './plan.ts';

/** What a rollout says while it goes on. */
export type RolloutEvent =
  | { readonly event: 'note'; readonly text: string }
  | {
      readonly event: 'plan';
      readonly kind: Plan['kind'];
      readonly purpose: 'deploy' | 'rollback';
      readonly release: number;
      readonly instances: number;
      readonly expectedSeconds: number;
    }
  | { readonly event: 'started'; readonly release: number; readonly version: number; readonly refresh: string | undefined }
  | {
      readonly event: 'progress';
      /** Auto Scaling's word; `Launching` for a first deploy. */
      readonly status: string;
      readonly percentage: number | undefined;
      readonly serving: number;
      readonly starting: number;
      readonly others: number;
      readonly desired: number;
    }
  | ({ readonly event: 'host' } & HostCause)
  | { readonly event: 'smoke'; readonly passed: boolean; readonly requests: number; readonly detail: string }
  | { readonly event: 'undo'; readonly reason: string; readonly how: string }
  | { readonly event: 'slow'; readonly detail: string; readonly nextLookMs: number }
  | { readonly event: 'live'; readonly release: number; readonly previous: number | undefined };

export type SayRollout = (event: RolloutEvent) => void;
