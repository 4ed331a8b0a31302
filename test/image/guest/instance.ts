import { randomBytes } from 'node:crypto';
import type { UserData } from '../../../contract/user-data.ts';
import { type LocalImds, startImds } from '../../../local/imds.ts';
import { region } from '../../support/cloud.ts';
import type { Lab, Teardown } from './lab.ts';
import { type Addressing, type GuestNetwork, makeNetwork } from './network.ts';

type InstanceOptions = {
  readonly id?: string;
  /** Text is given as it is; without it the metadata service answers 404, as for an instance that was launched without. */
  readonly userData?: UserData | string | Buffer;
  /** Default `dhcp`, as on EC2. */
  readonly addressing?: Addressing;
};
type Addresses = Pick<GuestNetwork, 'address' | 'addressV6'>;
type Metadata = Omit<InstanceOptions, 'addressing'>;
export type Instance = { readonly id: string; readonly network: GuestNetwork; readonly imds: LocalImds };

/** What EC2 has of an instance before it boots: an id, a network, a metadata service that answers it alone. Gone with the test. */
export async function launchInstance(t: Teardown, lab: Lab, { addressing = 'dhcp', ...metadata }: InstanceOptions = {}): Promise<Instance> {
  const network = await makeNetwork(lab, addressing);
  t.teardown(() => network.remove());
  return { network, ...(await serveMetadata(t, lab, network, metadata)) };
}

/** The metadata service of the instance with these addresses. */
export async function serveMetadata(t: Teardown, lab: Lab, { address, addressV6 }: Addresses, { id, userData }: Metadata): Promise<Omit<Instance, 'network'>> {
  const instance = id ?? `i-${randomBytes(9).toString('hex').slice(0, 17)}`;
  const bytes =
    userData === undefined || Buffer.isBuffer(userData) ? userData : Buffer.from(typeof userData === 'string' ? userData : JSON.stringify(userData));
  const imds = await startImds({ instance, address, region, roleName: 'pinion-runtime', credentials, userData: bytes });
  t.teardown(() => imds.stop());
  for (const caller of [address, addressV6]) lab.setImds(caller, imds.endpoint);
  return { id: instance, imds };
}

const credentials = () => ({
  accessKeyId: 'ASIALAB',
  secretAccessKey: 'lab',
  sessionToken: randomBytes(8).toString('hex'),
  expiration: new Date(Date.now() + 6 * 3_600_000),
});
