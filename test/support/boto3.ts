import { execFile } from 'node:child_process';
import { globSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { localPython } from '../../local/moto.ts';

/** The folder from which an app's own Python can import boto3, which is there because moto needs it: nothing in it is compiled for one version. */
export const boto3Folder = globSync(join(localPython, '../../lib/python3*/site-packages'))[0] ?? '';

/**
 * What `expression` is, in a process of its own with the real boto3 and these variables, no others. When boto3 raises: the error's class and text.
 * `s` is a session, `client(name)` a client that tries each request once.
 */
export async function boto3(environment: Readonly<Record<string, string>>, expression: string): Promise<{ value?: unknown; error?: string; ms: number }> {
  const program = `
import boto3, botocore.config, json, sys, time
s = boto3.Session()
once = botocore.config.Config(retries={"total_max_attempts": 1})
client = lambda name: s.client(name, config=once)
started = time.monotonic()
try:
    answer = {"value": eval(sys.argv[1])}
except Exception as error:
    answer = {"error": f"{type(error).__name__}: {error}"}
print(json.dumps({**answer, "ms": round((time.monotonic() - started) * 1000)}))
`;
  const { stdout } = await promisify(execFile)(localPython, ['-I', '-c', program, expression], { env: { ...environment } });
  return JSON.parse(stdout);
}
