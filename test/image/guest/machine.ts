import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { createInterface } from 'node:readline';
import { text } from 'node:stream/consumers';
import { stripVTControlCharacters } from 'node:util';
import { eventually } from '../../support/eventually.ts';
import type { Disk } from './disk.ts';
import { labFolder } from './folders.ts';
import type { Teardown } from './lab.ts';
import type { TapNetwork } from './tap-network.ts';

type MachineOptions = {
  readonly disk: Disk;
  readonly network: TapNetwork;
  readonly memoryMb: number;
  /** Drop-ins for units of the image, by unit; the disk has none of them. */
  readonly dropIns?: Readonly<Record<string, string>>;
  /** Of its whole life; then it is killed. */
  readonly timeoutMs: number;
};

/** A booted machine: the image under a kernel of its own, which can all that a kernel can. An order of magnitude slower than a guest. */
export type Machine = {
  /** What the serial port got so far, without colours: what EC2 shows of an instance. */
  console(): string;
  /** Resolves when the console has it. Throws when the machine ends before. */
  untilConsole(pattern: RegExp): Promise<void>;
  /** Runs a line of shell in it as root, and gives what it printed, errors too. Throws unless it ends with 0. */
  ask(line: string): Promise<string>;
  /** Resolves with the first line of output of a line of shell that fits. Throws when it ends before. */
  untilSaid(line: string, fits: (line: string) => boolean): Promise<string>;
};

const shellPort = 2323;
/** A root shell for whoever connects, who can only be in the lab. Nothing but units: no program, no key, no user of the image is touched. */
const shellUnits = {
  'lab-shell.socket': `[Socket]\nListenStream=0.0.0.0:${shellPort}\nAccept=yes\n`,
  'lab-shell@.service': '[Service]\nExecStart=/bin/sh\nStandardInput=socket\nStandardOutput=socket\nStandardError=socket\n',
};

/** Boots the disk: resolves when its shell answers, while its units still start. It ends with the test, and with this process. */
export async function bootMachine(t: Teardown, options: MachineOptions): Promise<Machine> {
  const { network, timeoutMs } = options;
  const child = spawn('setpriv', ['--pdeathsig', 'KILL', '--', ...qemu(options)], {
    stdio: ['ignore', 'pipe', 'pipe'],
    // What it writes to its disk is thrown away, and lies there meanwhile.
    env: { PATH: process.env.PATH, TMPDIR: labFolder },
    signal: AbortSignal.timeout(timeoutMs),
    killSignal: 'SIGKILL',
  });
  // It comes with the time limit; the end comes after it.
  child.on('error', () => {});
  const closed = new Promise<void>((resolve) => child.once('close', () => resolve()));
  let printed = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding('utf8').on('data', (chunk: string) => {
      printed += chunk;
    });
  }
  t.teardown(async () => {
    child.kill('SIGKILL');
    await closed;
  });
  const console = () => stripVTControlCharacters(printed).replaceAll('\r', '');
  const ended = closed.then(() => {
    throw new Error(`the machine has ended, or had to after ${timeoutMs} ms; its console: ${console().slice(-3_000)}`);
  });
  ended.catch(() => {});

  const shell = async (line: string): Promise<Socket> => {
    // So that the end of what is sent is not the end of what comes back.
    const socket = connect({ host: network.address, port: shellPort, allowHalfOpen: true });
    await once(socket, 'connect');
    socket.end(`${line}\n`);
    return socket;
  };
  const answers = () =>
    shell('exit').then(
      (socket) => !socket.destroy().connecting,
      () => false,
    );
  await Promise.race([eventually(answers, Boolean), ended]);
  return {
    console,
    async untilConsole(pattern) {
      while (!pattern.test(console())) await Promise.race([once(child.stdout, 'data'), ended]);
    },
    async ask(line) {
      const said = await Promise.race([shell(`(${line}\n) 2>&1; echo " $?"`).then(text), ended]);
      const [, output = '', end] = /^(.*) (\d+)\n$/s.exec(said) ?? [];
      if (end !== '0') throw new Error(`in the machine, ${line} ended with ${end ?? 'nothing'}: ${output}`);
      return output.replace(/\n$/, '');
    },
    async untilSaid(line, fits) {
      const socket = (await shell(`exec ${line}`)).on('error', () => {});
      ended.catch(() => socket.destroy());
      try {
        for await (const found of createInterface({ input: socket })) if (fits(found)) return found;
        throw new Error(`${line} ended and said nothing that fits`);
      } finally {
        socket.destroy();
      }
    },
  };
}

function qemu({ disk, network, memoryMb, dropIns = {} }: MachineOptions): string[] {
  const credentials = [
    ...Object.entries(shellUnits).map(([name, unit]) => [`systemd.extra-unit.${name}`, unit]),
    ...Object.entries(dropIns).map(([unit, dropIn]) => [`systemd.unit-dropin.${unit}~lab`, dropIn]),
  ] as [string, string][];
  return [
    'qemu-system-x86_64',
    ...['-nodefaults', '-no-user-config', '-no-reboot', '-display', 'none', '-monitor', 'none', '-serial', 'stdio'],
    // Emulated: KVM is nothing that a test machine has for sure. More processors or threads of it, or -cpu max, end in a double fault (QEMU 7.2).
    ...['-accel', 'tcg,thread=single', '-cpu', 'Nehalem', '-smp', '1', '-m', String(memoryMb)],
    ...['-kernel', disk.kernel, '-append', `root=/dev/nvme0n1 rw panic=-1 mitigations=off systemd.wants=lab-shell.socket ${disk.commandLine}`],
    // As EC2 attaches volumes.
    ...['-drive', `file=${disk.file},format=raw,if=none,id=root,snapshot=on,cache=unsafe`, '-device', 'nvme,drive=root,serial=root'],
    ...['-netdev', `tap,id=lab,ifname=${network.device},script=no,downscript=no`, '-device', `virtio-net-pci,netdev=lab,mac=${network.mac}`],
    ...['-device', 'virtio-rng-pci'],
    // systemd reads them before its units (systemd.system-credentials(7)).
    ...credentials.flatMap(([name, content]) => ['-smbios', `type=11,value=io.systemd.credential.binary:${name}=${Buffer.from(content).toString('base64')}`]),
  ];
}
