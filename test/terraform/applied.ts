/** The real provider against the local cloud: what it makes is made, a second plan finds nothing to do, and it goes away again. */
import { EC2Client } from '@aws-sdk/client-ec2';
import type { Test } from 'tap';
import { createAutoScaling } from '../../local/autoscaling/autoscaling.ts';
import { awsTimers } from '../../local/autoscaling/timers.ts';
import { keys, region } from '../../local/cloud.ts';
import { type Asked, startGateway } from '../../local/gateway.ts';
import { startMoto } from '../../local/moto.ts';
import { applying, type Copy, copyForCloud, initializing, planning, type RootModule } from '../../local/terraform.ts';
import { readTemplateVersion } from '../../pipeline/rollout/template.ts';
import { succeeds } from './terraform.ts';

const noChanges = 0;

/** A plan as a file, which `apply kept` applies. */
export const keepingPlan = ['plan', '-out=kept', '-input=false', '-no-color'] as const;

/** moto with our Auto Scaling, which launches nothing: Launch is suspended. `heard` is told of every request. */
export async function startCloud(t: Test, heard: (asked: Asked) => void = () => {}): Promise<string> {
  const moto = await startMoto();
  t.teardown(moto.stop);
  const ec2 = new EC2Client({ endpoint: moto.endpoint, region, credentials: keys });
  t.teardown(() => ec2.destroy());
  const { signal } = new AbortController();
  const autoScaling = createAutoScaling({
    launcher: { launch: () => Promise.reject(new Error('nothing is to be launched')) },
    // Which there are is moto's business.
    targetGroups: { has: () => true, get: () => undefined },
    timers: { ...awsTimers, secondMs: 10, tickMs: 50 },
    templates: {
      async resolve(id, version) {
        const found = await readTemplateVersion(ec2, id, version, signal);
        return found && { id, name: 'pinion-shop-test', version: String(found.number), imageId: found.imageId ?? '', usesResolveSsm: false };
      },
    },
    alarmState: async () => 'OK',
    say: (line) => t.fail(line),
  });
  t.teardown(autoScaling.stop);
  const gateway = await startGateway({ owned: { autoscaling: { service: autoScaling.service, dialect: 'query' } }, rest: moto.endpoint, heard });
  t.teardown(gateway.stop);
  return gateway.endpoint;
}

export async function open(t: Test, root: RootModule, endpoint: string, variables: string): Promise<Copy> {
  const opened = copyForCloud(t.testdir(), root, endpoint, { 'test.auto.tfvars': variables });
  succeeds(t, await opened.terraform(initializing), 'init');
  return opened;
}

/** Applied whole, in less than the three minutes that are promised, and nothing left to plan. */
export async function applies(t: Test, { terraform }: Copy): Promise<void> {
  const begunMs = performance.now();
  if (!succeeds(t, await terraform(applying, 200), 'apply')) return;
  t.comment(`applied in ${((performance.now() - begunMs) / 1_000).toFixed(0)} s`);
  t.ok(performance.now() - begunMs < 180_000);
  const again = await terraform(planning);
  if (again.end !== noChanges) t.comment(again.stdout);
  t.equal(again.end, noChanges, 'a second plan finds nothing to do');
}
