import { type ChildProcess, spawn } from 'node:child_process';
import { access, constants } from 'node:fs/promises';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { Failure } from '../contract/causes.ts';

/** The interpreter of the virtual environment that `local/setup.mjs` makes. */
export const localPython = fileURLToPath(new URL('../.pinion/venv/bin/python', import.meta.url));
const program = fileURLToPath(new URL('moto-server.py', import.meta.url));

type MotoOptions = {
  readonly python?: string;
  /** 0, the default, takes a free port. */
  readonly port?: number;
  /** Ends moto when it aborts. */
  readonly signal?: AbortSignal;
};

export type Moto = { readonly endpoint: string; readonly pid: number; stop(): Promise<void> };

/**
 * Starts the embedded cloud (moto.md) and gives its endpoint on 127.0.0.1 once it answers. It ends with `stop()`, with `signal`,
 * and with the calling process, however that ends. Throws LOCAL_PYTHON_MISSING or LOCAL_CLOUD_FAILED.
 */
export async function startMoto({ python = localPython, port = 0, signal }: MotoOptions = {}): Promise<Moto> {
  await access(python, constants.X_OK).catch((cause) => {
    throw new Failure('LOCAL_PYTHON_MISSING', { interpreter: python }, { cause });
  });
  signal?.throwIfAborted();
  const child = spawn(python, ['-I', program, String(port)], {
    stdio: ['pipe', 'pipe', 'inherit'],
    // A group of its own: Ctrl-C in a terminal must not end the cloud before those who use it.
    detached: true,
    // Nothing of the caller's: moto reads AWS_PROFILE and the like when it is imported.
    env: { PATH: process.env.PATH, LANG: 'C.UTF-8', AWS_CONFIG_FILE: '/dev/null', AWS_SHARED_CREDENTIALS_FILE: '/dev/null' },
  });
  const ended = new Promise((resolve) => child.once('close', resolve).once('error', resolve));
  const stop = async () => {
    child.kill('SIGTERM');
    await ended;
  };
  signal?.addEventListener('abort', () => void stop(), { once: true });
  return { endpoint: await firstLine(child, ended), pid: child.pid ?? 0, stop };
}

async function firstLine(child: ChildProcess, ended: Promise<unknown>): Promise<string> {
  if (child.stdout === null) throw new Failure('INTERNAL_ERROR', { detail: 'moto has no stdout' });
  for await (const line of createInterface({ input: child.stdout })) return (JSON.parse(line) as { endpoint: string }).endpoint;
  await ended;
  throw new Failure('LOCAL_CLOUD_FAILED', { exit: child.exitCode ?? child.signalCode ?? 'no output' });
}
