import { existsSync } from 'node:fs';
import { command } from './command.ts';
import { labFolder, outsideNetwork } from './folders.ts';
import { isInLab } from './lab-process.ts';

type Run = {
  /** What it writes into the tree: stays there, or is thrown away. */
  readonly writes: 'kept' | 'thrown-away';
  /** Files and folders of this machine that it sees at the same place, and may change. */
  readonly binds?: readonly string[];
  readonly env?: NodeJS.ProcessEnv;
  readonly timeoutMs: number;
};

// Everything is mounted in a namespace of its own and goes with the program.
const enter = `
set -e
tree=$1 lab=$2 writes=$3 binds=$4
shift 4
mount -t tmpfs -o mode=0755 pinion-tree "$lab"
mkdir "$lab/root" "$lab/upper" "$lab/work"
if [ "$writes" = kept ]; then mount --bind "$tree" "$lab/root"
else mount -t overlay pinion-tree -o "lowerdir=$tree,upperdir=$lab/upper,workdir=$lab/work" "$lab/root"; fi
root=$lab/root
mount -t proc proc "$root/proc"
mount --rbind /dev "$root/dev"
mount -t tmpfs -o mode=0755 pinion-run "$root/run"
mount -t tmpfs -o mode=1777 pinion-tmp "$root/tmp"
# Where Debian's systemd-resolved has the link point to.
mkdir -p "$root/run/systemd/resolve"
cat /etc/resolv.conf >"$root/run/systemd/resolve/stub-resolv.conf"
printf '%s' "$binds" | while IFS= read -r path; do
  if [ -d "$path" ]; then mkdir -p "$root$path"; else mkdir -p "$(dirname "$root$path")"; [ -e "$root$path" ] || : >"$root$path"; fi
  mount --rbind "$path" "$root$path"
done
exec chroot "$root" "$@"
`;

/** Runs a program in a tree that is not booted, on this machine's network, and gives what it printed. Throws with its last lines when it fails. */
export function inTree(tree: string, argv: readonly string[], { writes, binds = [], env = {}, timeoutMs }: Run): Promise<string> {
  const outside = isInLab() ? ['nsenter', `--net=${outsideNetwork}`, '--'] : [];
  const paths = binds.filter((path) => existsSync(path)).map((path) => `${path}\n`);
  return command([...outside, 'unshare', '--mount', '--', 'sh', '-c', enter, 'sh', tree, labFolder, writes, paths.join(''), ...argv], { env, timeoutMs });
}
