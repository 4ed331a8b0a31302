import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, writeFileSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { delimiter, dirname, join } from 'node:path';
import { localPython } from '../../local/moto.ts';

type Test = { teardown(fn: () => unknown): unknown };
type Files = Readonly<Record<string, string>>;

export type WheelSpec = {
  readonly name: string;
  readonly version?: string;
  readonly files?: Files;
  /** Names that get this file type and mode instead of 0100644. */
  readonly modes?: Readonly<Record<string, number>>;
  /** Lines in RECORD in place of the true ones, by name; an empty one leaves the line out. */
  readonly record?: Files;
};
export type MadeWheel = { readonly file: string; readonly requirement: string };

const program = `
import base64, csv, hashlib, io, json, sys, zipfile
spec = json.load(sys.stdin)
info = "%s-%s.dist-info/" % (spec["name"], spec["version"])
files = {**spec["files"], info + "METADATA": "Metadata-Version: 2.1\\nName: %s\\nVersion: %s\\n" % (spec["name"], spec["version"]),
         info + "WHEEL": "Wheel-Version: 1.0\\nGenerator: test\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n"}
lines = []
for name, text in files.items():
    digest = base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).rstrip(b"=").decode()
    out = io.StringIO(); csv.writer(out, lineterminator="\\n").writerow([name, "sha256=" + digest, len(text.encode())])
    lines.append(spec["record"].pop(name, out.getvalue().strip()))
lines += list(spec["record"].values()) + [info + "RECORD,,"]
files[info + "RECORD"] = "\\n".join(line for line in lines if line) + "\\n"
with zipfile.ZipFile(sys.argv[1], "w") as wheel:
    for name, text in files.items():
        entry = zipfile.ZipInfo(name)
        entry.external_attr = spec["modes"].get(name, 0o100644) << 16
        wheel.writestr(entry, text)
print(hashlib.sha256(open(sys.argv[1], "rb").read()).hexdigest())
`;

/** Writes a pure wheel into `folder` and gives its locked requirement. */
export function makeWheel(folder: string, { name, version = '1.0', files = { [`${name}/__init__.py`]: '' }, modes = {}, record = {} }: WheelSpec): MadeWheel {
  const file = join(folder, `${name}-${version}-py3-none-any.whl`);
  const input = JSON.stringify({ name, version, files, modes, record });
  const sha256 = execFileSync(localPython, ['-c', program, file], { input, encoding: 'utf8' }).trim();
  return { file, requirement: `${name}==${version} --hash=sha256:${sha256}` };
}

/** The Python of the local environment, `X.Y`: every test builds for it. */
export const python = execFileSync(localPython, ['-c', 'import sys; print("%d.%d" % sys.version_info[:2])'], { encoding: 'utf8' }).trim();

export const gunicorn: WheelSpec = { name: 'gunicorn', version: '27.0.1', files: { 'gunicorn/__init__.py': 'version = 27\n', 'gunicorn/__main__.py': '' } };

export const pyproject = (more = ''): string => `[tool.pinion]
app = "shop"
entry-point = "shop:app"
python = "${python}"
${more}`;

export type TestApp = { readonly appDir: string; readonly wheelFolder: string; readonly env: NodeJS.ProcessEnv };

/** A temporary folder that goes at the end of the test. */
export function temporaryFolder(t: Test): string {
  const folder = mkdtempSync(join(tmpdir(), 'pinion-'));
  t.teardown(() => rm(folder, { recursive: true, force: true }));
  return folder;
}

/** An app with tiny wheels that pip finds without a network: `env` is what a build needs. */
export function makeApp(
  t: Test,
  { settings = '', files = {}, wheels = [gunicorn] }: { settings?: string; files?: Files; wheels?: readonly WheelSpec[] } = {},
): TestApp {
  const folder = temporaryFolder(t);
  const appDir = join(folder, 'app');
  const wheelFolder = join(folder, 'wheels');
  mkdirSync(appDir);
  mkdirSync(wheelFolder);
  const lock = wheels.map((wheel) => `${makeWheel(wheelFolder, wheel).requirement}\n`).join('');
  const all = { 'shop.py': 'app = lambda environ, start: []\n', 'pyproject.toml': pyproject(settings), 'requirements.txt': lock, ...files };
  for (const [path, text] of Object.entries(all)) {
    mkdirSync(dirname(join(appDir, path)), { recursive: true });
    writeFileSync(join(appDir, path), text);
  }
  return { appDir, wheelFolder, env: buildEnvironment(wheelFolder) };
}

/** Only what a build needs: the interpreter, and pip told to look into one folder and nowhere else. */
export const buildEnvironment = (wheelFolder: string): NodeJS.ProcessEnv => ({
  PATH: `${dirname(localPython)}${delimiter}${process.env.PATH}`,
  HOME: wheelFolder,
  PIP_NO_INDEX: '1',
  PIP_FIND_LINKS: wheelFolder,
  PIP_NO_CACHE_DIR: '1',
  PIP_CONFIG_FILE: '/dev/null',
});
