// `node local/setup.mjs SCRIPT ARGS…`: installs what is missing, then runs SCRIPT on the project's own Node.
// Plain JavaScript without dependencies, for Node 20 and later: it runs before anything is installed.
import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { accessSync, chmodSync, constants, existsSync, mkdirSync, readFileSync, realpathSync, writeFileSync } from 'node:fs';
import { connect, createServer } from 'node:net';
import { delimiter, dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const inRoot = (...parts) => join(root, ...parts);
const bin = inRoot('node_modules', '.bin');
const venv = inRoot('.pinion', 'venv');
const requirements = [inRoot('local', 'requirements.txt'), inRoot('flask-app', 'requirements.txt')];
// The folder of our own commands is left out: `npm ci` deletes it while it runs.
const outerPath = (process.env.PATH ?? '').split(delimiter).filter((folder) => !folder.endsWith(join('node_modules', '.bin')));

const [script, ...args] = process.argv.slice(2);
if (script === undefined) fail('usage: node local/setup.mjs SCRIPT ARGS…');
if (process.platform !== 'linux') fail(`pinion runs on Linux, this is ${process.platform}: use a Linux machine, or a virtual one`);
if (!existsSync('/proc/self/stat')) fail('/proc is not mounted: mount it, pinion watches its processes through it');

const python = find('python3') ?? fail('python3 is missing: apt-get install python3 python3-venv');
// Each install writes its stamp as its last step, into what it installs: one that was cut off has none and is made again.
const installs = [
  { name: 'packages', folder: inRoot('node_modules'), program: '.bin/node', of: digest([inRoot('package-lock.json')], process.arch), make: installPackages },
  { name: 'Python environment', folder: venv, program: 'bin/python', of: digest(requirements, realpathSync(python)), make: installPython },
];
const stampOf = ({ folder }) => join(folder, '.pinion-setup');
const isDone = (install) =>
  existsSync(join(install.folder, install.program)) && existsSync(stampOf(install)) && readFileSync(stampOf(install), 'utf8') === install.of;

if (!installs.every(isDone)) {
  for (const [signal, number] of Object.entries({ SIGINT: 2, SIGTERM: 15, SIGHUP: 1 })) process.once(signal, () => process.exit(128 + number));
  const release = await takeTurn();
  await Promise.all(installs.filter((install) => !isDone(install)).map(install));
  release();
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.removeAllListeners(signal);
}
run();

async function install(what) {
  const { name, of, make } = what;
  const startedAt = performance.now();
  say(`installing ${name} …`);
  await make();
  writeFileSync(stampOf(what), of);
  say(`${name} installed in ${((performance.now() - startedAt) / 1000).toFixed(1)} s`);
}

async function installPackages() {
  const npm = find('npm') ?? fail('npm is missing: install Node 20 or later together with npm');
  await output(
    npm,
    ['ci', '--no-audit', '--no-fund', '--loglevel=error'],
    'npm ci failed: its lines above say why; `npm config get registry` names where it asked',
  );
  if (!existsSync(join(bin, 'node'))) fail(`there is no Node package for ${process.arch}: pinion runs on x64 and arm64`);
  // Not links: a command must run on the project's own Node also where PATH names another.
  for (const [name, program] of Object.entries({ pinion: 'pipeline/main.ts', 'pinion-agent': 'agent/main.ts' })) {
    const lines = ['#!/bin/sh', 'bin=$(dirname "$(readlink -f "$0")")', `exec "$bin/node" "$bin/../../${program}" "$@"`, ''];
    writeFileSync(join(bin, name), lines.join('\n'));
    chmodSync(join(bin, name), 0o755);
  }
}

async function installPython() {
  const probe = 'import sys; print("%d.%d" % sys.version_info[:2]); import venv, ensurepip';
  const version = await output(python, ['-c', probe], "Python's venv is missing: apt-get install python3-venv");
  if (Number(version.split('.')[1]) < 10) fail(`python3 is ${version.trim()}: install Python 3.10 or later`);
  await output(python, ['-m', 'venv', '--clear', venv], 'no virtual environment could be made: apt-get install python3-venv');
  const pip = ['-m', 'pip', 'install', '--quiet', '--disable-pip-version-check', '--no-input', '--require-hashes'];
  const files = requirements.flatMap((file) => ['-r', file]);
  await output(join(venv, 'bin', 'python'), [...pip, ...files], 'pip install failed: its lines above say why; `pip config list` names where it asked');
}

/** One set-up at a time in this clone. An abstract socket is the lock: the kernel drops it with its process, so none is ever stale. */
async function takeTurn() {
  const name = `\0pinion-setup-${createHash('sha256').update(root).digest('hex')}`;
  for (let waits = 0; ; waits++) {
    const waiting = [];
    const server = createServer((socket) => waiting.push(socket.on('error', () => {}))).unref();
    const isOurs = await new Promise((resolve) => server.once('error', () => resolve(false)).listen(name, () => resolve(true)));
    if (isOurs) {
      return () => {
        server.close();
        for (const socket of waiting) socket.destroy();
      };
    }
    if (waits === 0) say('another set-up is running here: waiting for it …');
    await new Promise((resolve) => connect(name).on('error', resolve).on('close', resolve).resume());
  }
}

function run() {
  mkdirSync(inRoot('.pinion'), { recursive: true });
  const env = { ...process.env, PATH: [bin, ...outerPath].join(delimiter), NODE_COMPILE_CACHE: inRoot('.pinion', 'compile-cache') };
  const child = spawn(join(bin, 'node'), [inRoot(script), ...args], { stdio: 'inherit', env });
  // A terminal's Ctrl-C reaches the child by itself too: what it does on a signal, it does once.
  const signals = ['SIGINT', 'SIGTERM', 'SIGHUP', 'SIGQUIT'];
  for (const signal of signals) process.on(signal, () => child.kill(signal));
  child.on('error', (error) => fail(`${join(bin, 'node')} cannot be run (${error.code}): remove node_modules and start again`));
  child.on('exit', (code, signal) => {
    if (signal === null) process.exit(code);
    for (const name of signals) process.removeAllListeners(name);
    process.kill(process.pid, signal);
  });
}

/** What `program` prints; when it fails, shows all it printed and ends with `problem`. */
function output(program, args, problem) {
  return new Promise((resolve) => {
    const child = spawn(program, args, { cwd: root, stdio: ['ignore', 'pipe', 'pipe'], env: { ...process.env, PATH: outerPath.join(delimiter) } });
    process.on('exit', () => child.kill());
    let stdout = '';
    let both = '';
    child.stdout.on('data', (bytes) => {
      stdout += bytes;
      both += bytes;
    });
    child.stderr.on('data', (bytes) => {
      both += bytes;
    });
    child.on('error', (error) => fail(`${problem} (${error.code})`));
    child.on('close', (code) => {
      if (code === 0) return resolve(stdout);
      process.stderr.write(both);
      fail(problem);
    });
  });
}

function find(program) {
  for (const folder of outerPath) {
    try {
      accessSync(join(folder, program), constants.X_OK);
      return join(folder, program);
    } catch {
      // The next folder.
    }
  }
  return undefined;
}

function digest(files, ...rest) {
  const hash = createHash('sha256');
  for (const file of files) if (existsSync(file)) hash.update(readFileSync(file));
  return hash.update(rest.join('\n')).digest('hex');
}

function say(line) {
  process.stderr.write(`pinion: ${line}\n`);
}

function fail(line) {
  say(line);
  process.exit(1);
}
