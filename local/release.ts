import { createHash, randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { delimiter, dirname, join } from 'node:path';
import { Failure } from '../contract/causes.ts';
import { type ReleaseNumber, releasePath, type Sha256 } from '../contract/names.ts';
import { build } from '../pipeline/artifact/build.ts';
import type { Built } from '../pipeline/artifact/built.ts';
import { findInterpreter } from '../pipeline/artifact/interpreter.ts';
import { ask, type Clients } from '../pipeline/aws.ts';
import { type ConfigVersion, type Place, readConfigVersions, setConfig } from '../pipeline/config/parameters.ts';
import type { Follow } from '../pipeline/progress.ts';
import type { Settings } from '../pipeline/settings.ts';
import { localPython } from './moto.ts';

const venvBin = dirname(localPython);
/** Last the Python of our own virtual environment, which is always there. */
const environment = { ...process.env, PATH: [process.env.PATH, venvBin].join(delimiter) };

/** Builds the app for the Python it asks for, or, on a machine without that one, for the Python of our own environment. Throws what `build` does. */
export async function buildHere(appDir: string, follow: Required<Follow>): Promise<Built & { readonly interpreter: string }> {
  try {
    return await build(appDir, { ...follow, env: environment });
  } catch (thrown) {
    if (!(thrown instanceof Failure) || thrown.code !== 'PYTHON_MISSING') throw thrown;
    const [, python] = /^version = (\d+\.\d+)/m.exec(readFileSync(join(venvBin, '..', 'pyvenv.cfg'), 'utf8')) ?? [];
    if (python === undefined) throw thrown;
    return build(appDir, { ...follow, env: environment, python });
  }
}

type LocalConfig = Pick<ConfigVersion, 'name' | 'type'>;

/** Sets every name the app asks for and nobody has set: those with a local value as String, the others to a random secret. */
export async function setLocalConfig({ ssm }: Clients, place: Place, { config, localConfig }: Settings, signal: AbortSignal): Promise<LocalConfig[]> {
  const there = await readConfigVersions(ssm, place, config, {}, signal);
  const set = (name: string) => {
    const value = localConfig[name];
    const bytes = Buffer.from(value ?? randomBytes(32).toString('base64url'));
    return setConfig(ssm, place, config, { name, bytes, type: value === undefined ? 'SecureString' : 'String' }, signal);
  };
  return Promise.all(config.map((name) => there.get(name) ?? set(name)));
}

export type Newest = { readonly release: ReleaseNumber; readonly recordSha256: Sha256; readonly interpreter: string };

/** The newest release, and this machine's interpreter for it. Throws PYTHON_MISSING, AWS_*. */
export async function newestRelease({ ssm }: Clients, place: Place, signal: AbortSignal): Promise<Newest> {
  const { GetParameterCommand } = await import('@aws-sdk/client-ssm');
  const parameter = releasePath(place);
  const { Parameter } = await ask('GetParameter', parameter, () => ssm.send(new GetParameterCommand({ Name: parameter }), { abortSignal: signal }));
  const text = Parameter?.Value ?? '';
  const { path } = await findInterpreter((JSON.parse(text) as { python: string }).python, environment, signal);
  const recordSha256 = createHash('sha256').update(text).digest('hex') as Sha256;
  return { release: (Parameter?.Version ?? 0) as ReleaseNumber, recordSha256, interpreter: path };
}
