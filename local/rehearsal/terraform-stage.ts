import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { firstProblem } from '../../contract/document.ts';
import { type Infrastructure, infrastructureSchema } from '../../contract/infrastructure.ts';
import { readInfrastructure } from '../../pipeline/infrastructure.ts';
import { allFields } from '../../pipeline/rollout/situation.ts';
import { makeBucket, region } from '../cloud.ts';
import { openControlPlane } from '../control-plane.ts';
import { accountId, applying, copyForCloud, destroying, type Ended, initializing, planning } from '../terraform.ts';
import { startLoad } from './loading.ts';
import { agentLimits, noticeMs, pace, timers } from './margins.ts';
import { loadPath, openStage, type Rehearsal, type Stage, smokeOf } from './stage.ts';

/** An environment that Terraform made, and may change. */
export type TerraformStage = Stage & {
  /** Applies the root with these variables laid over the first ones, and over those of earlier calls. Throws with Terraform's words. */
  apply(variables: Variables): Promise<void>;
  /** What a plan would change, in Terraform's words; undefined where it says "No changes". */
  plan(): Promise<string | undefined>;
  /** Takes all of it down, the instances drained first. */
  destroy(): Promise<void>;
};
type Variables = Readonly<Record<string, unknown>>;

/** AWS's seconds last a tenth of one: all times that Terraform takes are the least it allows, or what the hooks of a slow machine need. */
export const terraformTimers = { ...timers, secondMs: 100 } as const;
export const terraformTimes = {
  ...{ health_interval_seconds: 5, idle_timeout_seconds: 60, deregistration_seconds: 30, warm_up_seconds: 20, grace_seconds: 60 },
  ...{ boot_budget_seconds: 60, launch_heartbeat_seconds: 900, terminate_heartbeat_seconds: 600, stop_timeout_seconds: 75 },
} as const;
const scaledMs = (seconds: number) => seconds * terraformTimers.secondMs;
/** The agent's own clock is not scaled: a drain waits for three health checks as they are here. */
export const terraformLimits = { ...agentLimits, drainSettleMs: 3 * scaledMs(terraformTimes.health_interval_seconds) } as const;
/** The bake is longer than smoke's budget by the clock of Auto Scaling too. */
export const terraformPace = { pollMs: pace.pollMs, smokeEveryMs: pace.smokeEveryMs, bootMs: pace.bootMs, bakeMs: 60_000 } as const;

/** What is promised of one apply. */
const applySeconds = 180;

export async function openTerraformStage({ app, appDir, folder, interpreter, instances, rate, signal, undo }: Rehearsal): Promise<TerraformStage> {
  const place = { app: app.app, env: 'rehearsal' };
  const plane = await openControlPlane(
    {
      ...{ name: `${place.app}-${place.env}`, folder: join(folder, place.env), trafficPort: 8_000, healthPort: 8_081, interpreter, balancerOf: 'moto' },
      healthIntervalMs: scaledMs(terraformTimes.health_interval_seconds),
      deregistrationDelayMs: scaledMs(terraformTimes.deregistration_seconds),
      idleTimeoutMs: scaledMs(terraformTimes.idle_timeout_seconds),
      ...{ limits: terraformLimits, powerOffMs: 10_000, say: (line) => console.error(line) },
      timers: terraformTimers,
    },
    signal,
  );
  undo(() => plane.stop());
  const { cloud, loadBalancer } = plane;
  const bucket = `pinion-${place.app}-artifacts-${accountId}`;
  await makeBucket(cloud.clients.s3, bucket);

  let variables: Variables = {
    ...{ region, account_id: accountId, app: place.app, env: place.env },
    vpc: { cidr: '10.20.0.0/16', availability_zones: [`${region}a`, `${region}b`] },
    egress: 'endpoints',
    balancer: { http_only: true, deletion_protection: false },
    image: { id: 'ami-0123456789abcdef0' },
    fleet: { instance_type: 't3.small', min: instances, max: 2 * instances },
    artifacts: { bucket },
    times: terraformTimes,
    gunicorn: { keep_alive_seconds: app.gunicorn.keepAliveSeconds, graceful_timeout_seconds: app.gunicorn.gracefulTimeoutSeconds },
  };
  // The one thing of the root that differs: moto's load balancers have a name that leads nowhere.
  const address = { 'address_override.tf': `locals {\n  load_balancer_url = ${JSON.stringify(loadBalancer.url)}\n}\n` };
  const copy = copyForCloud(join(folder, 'root'), 'environment', cloud.endpoint, address, signal);
  const apply = async (changed: Variables) => {
    variables = { ...variables, ...changed };
    await writeFile(join(copy.folder, 'terraform.tfvars.json'), JSON.stringify(variables));
    done(await copy.terraform(applying, applySeconds), 'apply');
  };
  done(await copy.terraform(initializing), 'init');
  await apply({});

  const infrastructure = (await readInfrastructure(cloud.clients.ssm, place, allFields, signal)) as Infrastructure;
  const problem = firstProblem(infrastructureSchema, infrastructure);
  if (problem !== undefined) throw new Error(`what terraform/environment published is no infrastructure document: ${JSON.stringify(problem)}`);
  const load = startLoad(new URL(loadPath(app), loadBalancer.url).href, rate);
  undo(() => load.stop());
  const stage = await openStage({
    ...{ place, infrastructure, plane, load, instances, appDir, folder: join(folder, place.env, 'apps'), pace: terraformPace, smoke: smokeOf(app) },
    ...{ signal, noticeMs },
  });
  return {
    ...stage,
    apply,
    async plan() {
      const planned = await copy.terraform(planning);
      if (planned.end === 2) return planned.stdout.slice(planned.stdout.indexOf('Terraform will perform'));
      done(planned, 'plan');
      return undefined;
    },
    destroy: async () => done(await copy.terraform(destroying, applySeconds), 'destroy'),
  };
}

/** Throws with what Terraform said where that is no success. */
function done({ stdout, stderr, end }: Ended, what: string): void {
  if (end !== 0) throw new Error(`terraform ${what} ended with ${end}: ${stdout}${stderr}`);
}
