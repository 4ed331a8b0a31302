import { createHash } from 'node:crypto';
import { access, constants, mkdtemp, rename, rm } from 'node:fs/promises';
import { delimiter, join } from 'node:path';
import { Failure } from '../../contract/causes.ts';
import { run } from './run.ts';

/** A Python that was found on PATH and answered for itself. */
export type Interpreter = {
  /** As found; pip runs in it, so that an active virtual environment's pip is the one used. */
  readonly command: string;
  /** Behind links and virtual environments. */
  readonly path: string;
  /** `X.Y`. */
  readonly python: string;
  /** `X.Y.Z`. */
  readonly version: string;
  /** As in a manifest: `linux_x86_64`. */
  readonly platform: string;
  /** Equal for interpreters that compile the same source to the same bytes. */
  readonly buildId: string;
  readonly hasPip: boolean;
};

const question = `
import sys, json, os, platform, sysconfig, importlib.util as u
print(json.dumps({
  "path": os.path.realpath(sys.executable), "python": "%d.%d" % sys.version_info[:2], "version": platform.python_version(),
  "platform": (sys.platform + "_" + platform.machine()).lower(), "hasPip": u.find_spec("pip") is not None,
  "build": [sys.version, sys.implementation.cache_tag, sysconfig.get_config_var("SOABI"), u.MAGIC_NUMBER.hex(), platform.machine()],
}))`;

/** The first `pythonX.Y` on PATH that runs (a version manager's shim may not); throws PYTHON_MISSING. */
export async function findInterpreter(python: string, env: NodeJS.ProcessEnv, signal: AbortSignal): Promise<Interpreter> {
  let detail = `python${python} is not on PATH`;
  for (const folder of (env.PATH ?? '').split(delimiter)) {
    const command = join(folder, `python${python}`);
    if (folder === '' || !(await isExecutable(command))) continue;
    const answer = await run(command, ['-c', question], { env, cwd: '/', signal });
    if (answer.exit !== 0) {
      detail = `${command} does not run`;
      continue;
    }
    const { build, ...facts } = JSON.parse(answer.stdout) as Omit<Interpreter, 'command' | 'buildId'> & { build: unknown };
    if (facts.python !== python) {
      detail = `${command} is Python ${facts.version}`;
      continue;
    }
    return { command, ...facts, buildId: createHash('sha256').update(JSON.stringify(build)).digest('hex').slice(0, 16) };
  }
  throw new Failure('PYTHON_MISSING', { python, detail });
}

/**
 * A command that runs this interpreter with pip: itself, or, where a distribution splits pip off, a virtual environment in `cacheFolder`
 * that the interpreter makes for it. Throws PYTHON_MISSING when it has neither pip nor venv.
 */
export async function withPip(interpreter: Interpreter, cacheFolder: string, env: NodeJS.ProcessEnv, signal: AbortSignal): Promise<string> {
  if (interpreter.hasPip) return interpreter.command;
  const environment = join(cacheFolder, `pip-${interpreter.buildId}`);
  const command = join(environment, 'bin', 'python');
  if (await isExecutable(command)) return command;
  const partial = await mkdtemp(join(cacheFolder, 'pip-partial-'));
  const made = await run(interpreter.command, ['-m', 'venv', partial], { env, cwd: '/', signal });
  if (made.exit === 0) await rename(partial, environment).catch(() => undefined);
  await rm(partial, { recursive: true, force: true });
  if (await isExecutable(command)) return command;
  throw new Failure('PYTHON_MISSING', { python: interpreter.python, detail: `${interpreter.command} has neither pip nor venv` });
}

const isExecutable = (path: string): Promise<boolean> =>
  access(path, constants.X_OK).then(
    () => true,
    () => false,
  );
