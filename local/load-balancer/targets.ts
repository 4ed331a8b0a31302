import { setTimeout as wait } from 'node:timers/promises';
import { slotCount, slotNames } from './configuration.ts';
import { order, readServers, type ServerRow } from './runtime.ts';
import type { TargetGroup, TargetGroupSettings } from './target-group.ts';
import { judge, type Stage, type Verdict, verdictIsIn } from './target-health.ts';

type Target = {
  readonly id: string;
  readonly slot: number;
  stage: Stage;
  verdict: Verdict;
  /** Once it is being deregistered: when that is complete, and until when it is listed. */
  deregistered?: Promise<void>;
  listedUntilMs: number;
};

/** A running HAProxy, by its Runtime API at `socketPath`, as a target group. Once `stop` is aborted it does nothing more by itself. */
export function createTargetGroup(arn: string, settings: TargetGroupSettings, socketPath: string, stop: AbortSignal): TargetGroup {
  const { port, healthCheck, deregistrationDelayMs } = settings;
  const targets: Target[] = [];
  const busySlots = new Set<number>();
  const pollMs = Math.max(10, Math.min(100, healthCheck.intervalMs / 10));

  let last: Promise<void> = Promise.resolve();
  /** One conversation after the other: `ready` for a new target must not arrive after the `drain` that was said later. */
  const obey = (commands: readonly string[]): Promise<void> => {
    const obeyed = last.then(() => order(socketPath, commands));
    last = obeyed.catch(() => {});
    return obeyed;
  };

  const rowOf = (rows: ReadonlyMap<string, ServerRow>, name: string): ServerRow => {
    const row = rows.get(name);
    if (row === undefined) throw new Error(`HAProxy has no server ${name}`);
    return row;
  };

  /** Keeps a new target from traffic until its checks have spoken. */
  const admit = async (target: Target, sinceMs: number): Promise<void> => {
    const [slot, open] = slotNames(target.slot);
    for (; target.stage === 'initial'; await wait(pollMs, undefined, { signal: stop })) {
      const verdict = verdictIsIn(rowOf(await readServers(socketPath), slot), performance.now() - sinceMs, healthCheck);
      if (verdict === 'no' || target.stage !== 'initial') continue;
      const healthy = verdict === 'passed' ? [`set server ${slot} health up`] : [];
      await obey([...healthy, `set server ${slot} state ready`, `set server ${open} state ready`]);
      // It may be draining by now.
      if (target.stage === 'initial') target.stage = 'in-service';
    }
  };

  const drain = async (target: Target): Promise<void> => {
    const names = slotNames(target.slot);
    const untilMs = performance.now() + deregistrationDelayMs;
    await obey(names.map((name) => `set server ${name} state drain`));
    for (; performance.now() < untilMs; await wait(pollMs, undefined, { signal: stop })) {
      const rows = await readServers(socketPath);
      if (names.every((name) => rowOf(rows, name).requests === 0)) break;
    }
    await obey(names.flatMap((name) => [`shutdown sessions server ${name}`, `set server ${name} state maint`]));
    busySlots.delete(target.slot);
  };

  return {
    arn,
    async register(id, address) {
      // Nothing is awaited where nothing drains: who deregisters it in the same turn must find it.
      const leaving = targets.find((target) => target.id === id)?.deregistered;
      if (leaving !== undefined) await leaving;
      if (targets.some((target) => target.id === id && target.deregistered === undefined)) return;
      const slot = Array.from({ length: slotCount }, (_, index) => index + 1).find((number) => !busySlots.has(number));
      if (slot === undefined) throw new Error(`All ${slotCount} targets of the load balancer are in use`);
      busySlots.add(slot);
      const target: Target = { id, slot, stage: 'registering', verdict: { state: 'initial' }, listedUntilMs: Number.POSITIVE_INFINITY };
      remove(targets, (other) => other.id === id);
      targets.push(target);
      const [checked, open] = slotNames(slot);
      const addresses = slotNames(slot).map((name) => `set server ${name} addr ${address} port ${port}`);
      // In this order: `health down` is forgotten in maintenance, and `drain` keeps traffic away between the two.
      await obey([...addresses, `set server ${open} state maint`, `set server ${checked} state drain`, `set server ${checked} health down`]);
      if (target.stage === 'registering') target.stage = 'initial';
      admit(target, performance.now()).catch(sayUnless(stop));
    },
    async deregister(id) {
      const target = targets.find((each) => each.id === id);
      if (target === undefined) return;
      if (target.deregistered === undefined) {
        target.stage = 'draining';
        target.listedUntilMs = performance.now() + deregistrationDelayMs;
        target.deregistered = drain(target);
      }
      await target.deregistered;
    },
    async health() {
      remove(targets, ({ listedUntilMs }) => listedUntilMs <= performance.now());
      // The stage of before: what HAProxy says then cannot be older than it.
      const asked = targets.map((target) => ({ target, stage: target.stage }));
      const rows = await readServers(socketPath);
      return asked.map(({ target, stage }) => {
        target.verdict = judge(stage, rowOf(rows, slotNames(target.slot)[0]), target.verdict);
        return { id: target.id, port, ...target.verdict };
      });
    },
  };
}

function remove<T>(list: T[], fits: (each: T) => boolean): void {
  for (let index = list.length - 1; index >= 0; index--) if (fits(list[index] as T)) list.splice(index, 1);
}

/** What fails because the balancer was stopped is no news. */
const sayUnless = (stop: AbortSignal) => (error: Error) => {
  if (!stop.aborted) process.stderr.write(`local load balancer: ${error.stack}\n`);
};
