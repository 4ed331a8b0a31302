import type { Case } from './cases.ts';
import { firstDeploy } from './first-deploy.ts';
import type { Held } from './held.ts';
import { must } from './must.ts';
import type { Stage } from './stage.ts';
import type { TerraformStage } from './terraform-stage.ts';

/** In their order: each begins with what the one before left. What a case left for Terraform to do, the plan after it or after the next one shows. */
export const terraformCases: readonly Case<TerraformStage>[] = [
  { name: 'the first deploy on what Terraform made', run: settled(firstDeploy) },
  { name: 'the base changed, then the same release', run: settled(baseChanged) },
  { name: 'a deploy that fails, then other tags', run: tagsAfterFailure },
  { name: 'rollback, code and config, no infrastructure', run: settled(backAgain) },
  { name: 'all of it destroyed, the instances drained', run: destroyed },
];

/** The plan is empty after it. */
function settled(run: (stage: TerraformStage) => Promise<Held>): (stage: TerraformStage) => Promise<Held> {
  return async (stage) => {
    const held = await run(stage);
    const planned = await stage.plan();
    must(planned === undefined, 'Terraform has nothing to change', planned);
    return { ...held, outcome: `${held.outcome}; plan: No changes` };
  };
}

const idsOf = ({ plane }: Stage) => plane.fleet.running().map(({ id }) => id);
const sameInstances = (stage: Stage, before: readonly string[]): boolean => {
  const now = idsOf(stage);
  return now.length === before.length && now.every((id) => before.includes(id));
};

async function baseChanged(stage: TerraformStage): Promise<Held> {
  const before = idsOf(stage);
  const { result: statusBefore } = await stage.pinion('status');
  await stage.apply({ image: { id: 'ami-0fedcba9876543210' } });
  must(sameInstances(stage, before), 'an apply replaces no instance', { before, now: idsOf(stage) });
  const { result: status } = await stage.pinion('status');
  must(typeof status.newerBase === 'number', 'status tells of the newer base', status);
  const { exit, result, seconds } = await stage.pinion('deploy', '--release', String(statusBefore.live));
  must(exit === 0 && result.outcome === 'live' && result.release === statusBefore.live, 'the same release is live on the new base', result);
  must(!idsOf(stage).some((id) => before.includes(id)), 'every instance was replaced', idsOf(stage));
  const { result: after } = await stage.pinion('status');
  must(after.newerBase === null || after.newerBase === undefined, 'no newer base waits', after);
  return { outcome: `release ${result.release} on base ${status.newerBase}`, seconds };
}

async function tagsAfterFailure(stage: TerraformStage): Promise<Held> {
  const { result: statusBefore } = await stage.pinion('status');
  const failing = await stage.release('broken');
  const { result, seconds } = await stage.pinion('deploy');
  must(result.cause === 'ROLLED_BACK', `release ${failing} is rolled back`, result);
  const before = stage.plane.fleet.running();
  await stage.apply({ tags: { Team: 'shop' } });
  must(
    sameInstances(
      stage,
      before.map(({ id }) => id),
    ),
    'an apply replaces no instance',
    idsOf(stage),
  );
  await stage.plane.setDesiredCapacity(stage.infrastructure.autoScalingGroup, stage.instances + 1);
  await stage.untilServing(stage.instances + 1);
  const versions = new Set(stage.plane.fleet.running().map(({ version }) => version));
  must(versions.size === 1 && versions.has(before[0]?.version ?? ''), 'what the group launches is the version that served before', [...versions]);
  const { result: status } = await stage.pinion('status');
  must(status.live === statusBefore.live, 'the live release stays', status.live);
  await stage.plane.setDesiredCapacity(stage.infrastructure.autoScalingGroup, stage.instances);
  await stage.untilServing(stage.instances);
  return { outcome: `release ${failing} rolled back; the group grows by release ${status.live}`, seconds };
}

async function backAgain(stage: TerraformStage): Promise<Held> {
  const { result: before } = await stage.pinion('status');
  const release = await stage.release('good');
  const { exit, result } = await stage.pinion('deploy');
  must(exit === 0 && result.release === release, `release ${release} is live`, result);
  const back = await stage.pinion('rollback');
  must(back.exit === 0 && back.result.release === before.live, `back to release ${before.live}`, back.result);
  return { outcome: `release ${release} → ${before.live}`, seconds: back.seconds };
}

async function destroyed(stage: TerraformStage): Promise<Held> {
  const beganMs = performance.now();
  // Nobody asks any more: what is taken down answers no one.
  await stage.load.stop();
  await stage.destroy();
  const left = idsOf(stage);
  must(left.length === 0, 'no instance runs', left);
  const { result } = await stage.pinion('status');
  must(result.cause === 'INFRASTRUCTURE_MISSING', 'the document is gone', result);
  return { outcome: 'nothing is left', seconds: (performance.now() - beganMs) / 1_000 };
}
