import { illRelease, unimportable } from './bad-release.ts';
import type { EnvironmentStage } from './environment-stage.ts';
import { failedFirstDeploy } from './failed-first-deploy.ts';
import { firstDeploy } from './first-deploy.ts';
import { instanceKilled, scaleOut } from './fleet-changes.ts';
import { alarmFires, goBack } from './go-back.ts';
import type { Held } from './held.ts';
import { deployerKilled, rollingDeploy } from './rolling-deploy.ts';

export type Case<S> = { readonly name: string; readonly run: (stage: S) => Promise<Held> };

/** In their order: each begins with what the one before left. */
export const cases: readonly Case<EnvironmentStage>[] = [
  { name: 'first deploy of an empty group', run: firstDeploy },
  { name: 'rolling deploy', run: rollingDeploy },
  { name: 'a release that cannot be imported', run: unimportable },
  { name: 'a release that fails smoke', run: illRelease },
  { name: 'rollback, code and config', run: goBack },
  { name: 'scale-out in the middle of a deploy', run: scaleOut },
  { name: 'the deploying process killed, wait elsewhere', run: deployerKilled },
  { name: 'an instance killed outright', run: instanceKilled },
  { name: 'rollback while the alarm fires', run: alarmFires },
  { name: 'a first deploy that fails', run: failedFirstDeploy },
];
