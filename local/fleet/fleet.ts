import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { AgentEvent } from '../../contract/events.ts';
import type { InstanceId } from '../../contract/names.ts';
import { type LocalInstance, launchInstance } from '../instance.ts';
import { listOf, requiredText, type Service, ServiceError, textOf } from '../wire/query.ts';
import type { Launched, Launcher, LaunchOrder } from './launcher.ts';

/** What EC2 keeps of a console (EC2 API Reference, GetConsoleOutput). */
const consoleBytes = 65_536;
/** A terminated instance is still described, and its console still read, for a while. */
const rememberedTerminated = 50;

type Machine = {
  readonly order: LaunchOrder;
  readonly launchedAt: Date;
  readonly address: string;
  readonly instance: LocalInstance;
  state: 'running' | 'shutting-down' | 'terminated';
  console: string;
};

export type FleetOptions = {
  /** Of the gateway, when an instance is launched. */
  readonly endpoint: () => string;
  /** User data of a template version, decoded; undefined where the version does not exist. */
  readonly userDataOf: (templateId: string, version: string) => Promise<Buffer | undefined>;
  /** Where the instances' disks go. */
  readonly folder: string;
  /** The first three bytes of their addresses, such as `127.1.2`: a subnet of the loopback network. */
  readonly subnet: string;
  readonly trafficPort: number;
  readonly healthPort: number;
  readonly interpreter: string;
  readonly limits: Readonly<Record<string, number>>;
  /** Between SIGTERM and the end of power: what EC2 gives an operating system to shut down, scaled. */
  readonly powerOffMs: number;
  readonly onEvent?: (id: InstanceId, event: AgentEvent) => void;
};

/** EC2 for one group: real agents with real gunicorn, each with an address and a metadata service of its own. */
export type Fleet = Launcher & {
  /** GetConsoleOutput and DescribeInstances of these instances. */
  readonly service: Service;
  running(): readonly { readonly id: InstanceId; readonly version: string; readonly address: string }[];
  /** How many instances were ever launched. */
  launches(): number;
  /** Sets a path of an instance's metadata, such as a Spot notice. */
  setMetadata(id: InstanceId, path: string, value: string): void;
  /** Cuts an instance's power. */
  kill(id: InstanceId): Promise<void>;
  stop(): Promise<void>;
};

export function createFleet(options: FleetOptions): Fleet {
  const machines = new Map<InstanceId, Machine>();
  const addresses = new Set<string>();
  const machineOf = (id: string): Machine => {
    const machine = machines.get(id as InstanceId);
    if (machine === undefined) throw new ServiceError('InvalidInstanceID.NotFound', `The instance ID '${id}' does not exist`);
    return machine;
  };
  let launches = 0;
  const isOn = ({ state }: Machine) => state !== 'terminated';

  const freeAddress = (): string => {
    for (let host = 10; host < 250; host++) {
      const address = `${options.subnet}.${host}`;
      if (addresses.has(address)) continue;
      addresses.add(address);
      return address;
    }
    throw new ServiceError('InsufficientFreeAddressesInSubnet', `There are not enough free addresses in subnet '${options.subnet}.0/24'`);
  };

  async function launch(order: LaunchOrder): Promise<Launched> {
    const userData = await options.userDataOf(order.launchTemplateId, order.version);
    if (userData === undefined) {
      throw new ServiceError('InvalidLaunchTemplateId.VersionNotFound', `Could not find the specified version ${order.version} for ${order.launchTemplateId}`);
    }
    launches++;
    const [address, folder] = [freeAddress(), join(options.folder, order.id)];
    let text = '';
    const instance = await launchInstance({
      ...{ id: order.id, userData, address, folder, cloudEndpoint: options.endpoint(), limits: options.limits, interpreter: options.interpreter },
      ...{ trafficPort: options.trafficPort, healthPort: options.healthPort },
      onEvent: (event) => options.onEvent?.(order.id, event),
      onConsole(line) {
        text = `${text}${line}\n`.slice(-consoleBytes);
      },
    });
    const machine: Machine = {
      ...{ order, address, instance, launchedAt: new Date(), state: 'running' },
      get console() {
        return text;
      },
    };
    machines.set(order.id, machine);
    const over = instance.ended.catch(String).then(async () => {
      machine.state = 'terminated';
      addresses.delete(address);
      await rm(folder, { recursive: true, force: true });
      const gone = [...machines.values()].filter((each) => !isOn(each));
      for (const each of gone.slice(0, -rememberedTerminated)) machines.delete(each.order.id);
    });
    return {
      address,
      ended: over,
      setTargetLifecycleState: (state) => instance.imds.set('/latest/meta-data/autoscaling/target-lifecycle-state', state),
      async terminate() {
        machine.state = 'shutting-down';
        await powerOff(instance, over, options.powerOffMs);
      },
    };
  }

  const service: Service = ({ action, params }) => {
    switch (action) {
      case 'GetConsoleOutput': {
        const { console } = machineOf(requiredText(params, 'InstanceId'));
        const output = console === '' ? undefined : Buffer.from(console).toString('base64');
        return { instanceId: textOf(params, 'InstanceId'), timestamp: new Date(), output };
      }
      case 'DescribeInstances': {
        const wanted = new Set([...listOf(params, 'InstanceId'), ...filterValues(params.Filter, 'instance-id')]);
        for (const id of listOf(params, 'InstanceId')) machineOf(id);
        const found = [...machines.values()].filter(({ order }) => wanted.size === 0 || wanted.has(order.id));
        return { reservationSet: found.map((machine) => ({ reservationId: `r-${machine.order.id.slice(2)}`, instancesSet: [describe(machine)] })) };
      }
      default:
        throw new ServiceError('NotImplemented', `NotImplemented: ${action}`, 501);
    }
  };

  return {
    launch,
    service,
    running: () => [...machines.values()].filter(isOn).map(({ order, address }) => ({ id: order.id, version: order.version, address })),
    launches: () => launches,
    setMetadata: (id, path, value) => machineOf(id).instance.imds.set(path, value),
    kill: (id) => machineOf(id).instance.kill(),
    async stop() {
      await Promise.all([...machines.values()].filter(isOn).map(({ instance }) => instance.kill()));
    },
  };
}

async function powerOff(instance: LocalInstance, over: Promise<unknown>, powerOffMs: number): Promise<void> {
  const timer = setTimeout(() => void instance.kill(), powerOffMs);
  instance.terminate();
  await over.finally(() => clearTimeout(timer));
}

/** States by EC2's numbers (EC2 API Reference, InstanceState). */
const stateCodes = { running: 16, 'shutting-down': 32, terminated: 48 } as const;

const describe = ({ order, launchedAt, address, state }: Machine) => ({
  instanceId: order.id,
  instanceState: { code: stateCodes[state], name: state },
  privateIpAddress: address,
  launchTime: launchedAt,
  tagSet: [{ key: 'aws:autoscaling:groupName', value: order.autoScalingGroup }],
});

function filterValues(filters: unknown, name: string): readonly string[] {
  if (!Array.isArray(filters)) return [];
  return filters.flatMap((filter) => (filter.Name === name && Array.isArray(filter.Value) ? filter.Value.map(String) : []));
}
