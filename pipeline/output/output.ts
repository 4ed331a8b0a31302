import type { CauseReport } from '../../contract/causes.ts';
import type { Built, Published } from '../artifact/built.ts';
import type { Explanation } from '../commands/explain.ts';
import type { ConfigSet, ConfigType, ConfigVersion } from '../config/parameters.ts';
import type { Initialized } from '../init.ts';
import type { Progress } from '../progress.ts';
import type { HistoryEntry } from '../release/history.ts';
import type { Released } from '../release/read.ts';
import type { Deployed, Planned } from '../rollout/deploy.ts';
import type { Check } from '../rollout/doctor.ts';
import type { RolloutEvent } from '../rollout/events.ts';
import type { Outcome } from '../rollout/outcomes.ts';
import type { SmokeResult } from '../rollout/smoke.ts';
import type { FleetStatus } from '../rollout/status.ts';

/** What each verb ends with; two renderers show it. */
export type Result =
  | ({ readonly verb: 'build' } & Built)
  | ({ readonly verb: 'publish'; readonly already: boolean } & Published)
  | ({ readonly verb: 'config set'; readonly endsWithNewline: boolean } & ConfigSet)
  | { readonly verb: 'config get'; readonly name: string; readonly version: number; readonly type: ConfigType; readonly value: string }
  | { readonly verb: 'config list'; readonly env: string; readonly config: readonly ConfigVersion[]; readonly missing: readonly string[] }
  | ({ readonly verb: 'release' } & Released)
  | {
      readonly verb: 'history';
      readonly app: string;
      readonly env: string;
      readonly releases: readonly (HistoryEntry & { readonly outcome?: Outcome | undefined })[];
    }
  | ({ readonly verb: 'deploy' } & (Deployed | Planned))
  | ({ readonly verb: 'rollback' | 'wait' } & Deployed)
  | ({ readonly verb: 'status' } & FleetStatus)
  | ({ readonly verb: 'init' } & Initialized)
  | { readonly verb: 'doctor'; readonly checks: readonly Check[] }
  | ({ readonly verb: 'smoke'; readonly release: number } & SmokeResult)
  | ({ readonly verb: 'explain' } & Explanation);

export type Output = { progress(event: Progress): void; rollout(event: RolloutEvent): void; result(result: Result): void; failure(report: CauseReport): void };
