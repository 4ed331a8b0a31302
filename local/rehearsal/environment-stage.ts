import { join } from 'node:path';
import { openControlPlane } from '../control-plane.ts';
import { makeEnvironment } from '../environment.ts';
import { type Load, startLoad } from './loading.ts';
import { agentLimits, noticeMs, pace, timers, timesFor } from './margins.ts';
import { loadPath, openStage, type Rehearsal, type Stage, smokeOf } from './stage.ts';

export type EnvironmentStage = Stage & {
  /** Another environment, whose group has never served. */
  fresh(): Promise<EnvironmentStage>;
};

/** Environments made at the wire, one after the other under the same load: times scaled to seconds. */
export async function openEnvironmentStage(rehearsal: Rehearsal, load?: Load, count = 0): Promise<EnvironmentStage> {
  const { app, folder, interpreter, instances, rate, signal, undo } = rehearsal;
  const env = ['rehearsal', 'fresh'][count] ?? `fresh-${count}`;
  const place = { app: app.app, env };
  const times = timesFor(app);
  const plane = await openControlPlane(
    {
      ...{ name: `${app.app}-${env}`, folder: join(folder, env), trafficPort: 8_000, healthPort: 8_081, interpreter },
      ...{ healthIntervalMs: times.healthIntervalMs, deregistrationDelayMs: times.deregistrationDelayMs, idleTimeoutMs: times.idleTimeoutMs },
      ...{ limits: agentLimits, powerOffMs: 10_000, say: (line) => console.error(line) },
      timers,
    },
    signal,
  );
  undo(() => plane.stop());
  const { url, targetGroup } = plane.loadBalancer;
  const infrastructure = await makeEnvironment(plane.cloud, place, {
    ...{ targetGroupArn: targetGroup.arn, loadBalancerUrl: url, times, instances, maxSize: 2 * instances, alarms: ['5xx'] },
    ...(plane.instanceSecurityGroup !== undefined && { securityGroups: [plane.instanceSecurityGroup] }),
  });
  const loaded = load ?? startLoad(new URL(loadPath(app), url).href, rate);
  if (load === undefined) undo(() => loaded.stop());
  const stage = await openStage({
    ...{ place, infrastructure, plane, load: loaded, instances, appDir: rehearsal.appDir, folder: join(folder, env, 'apps'), pace, smoke: smokeOf(app) },
    ...{ signal, noticeMs },
  });
  return { ...stage, fresh: () => openEnvironmentStage(rehearsal, loaded, count + 1) };
}
