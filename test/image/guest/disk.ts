import { globSync, readFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { baseRoot } from './base.ts';
import { command } from './command.ts';
import { labFolder } from './folders.ts';
import type { SealedImage } from './image.ts';
import { keyOf, stored } from './stored.ts';
import { inTree } from './tree.ts';

export type Disk = {
  /** An ext4 file system, raw and sparse, that nobody writes to. */
  readonly file: string;
  readonly kernel: string;
  /** What the image has its boot loader tell the kernel. */
  readonly commandLine: string;
};

/**
 * Debian's kernel as its cloud images have it, with its modules. Of its package alone: NVMe and ext4 are built in, so that it needs no initramfs;
 * the boot loader is QEMU.
 */
const unpack = `
apt-get -qq update
cd /tmp
apt-get -qq download "$(apt-cache depends linux-image-cloud-amd64 | awk '/ Depends: linux-image/ { print $2 }')"
dpkg-deb -x linux-image-*.deb "$1"
ln -s usr/lib "$1/lib"
depmod -b "$1" "$(ls "$1/usr/lib/modules")"
`;
const size = '3G';

/** The sealed image with a kernel, as the volume that a machine boots from; made once. */
export async function diskOf({ folder, root }: SealedImage): Promise<Disk> {
  const kernel = await kernelTree();
  const made = await stored('disk', keyOf([basename(folder), basename(kernel), size]), async (partial) => {
    // Read through an overlay that goes with the program.
    const script = 'mount -t overlay pinion-disk -o "lowerdir=$1:$2" "$3" && exec mke2fs -q -t ext4 -d "$3" "$4" "$5"';
    const argv = [kernel, root, labFolder, join(partial, 'disk.img'), size];
    await command(['unshare', '--mount', '--', 'sh', '-euc', script, 'sh', ...argv], { timeoutMs: 120_000 });
  });
  const [vmlinuz = 'no kernel was unpacked'] = globSync('boot/vmlinuz-*', { cwd: kernel });
  const [, commandLine = ''] =
    /^GRUB_CMDLINE_LINUX="\$GRUB_CMDLINE_LINUX (.*)"$/m.exec(readFileSync(join(root, 'etc/default/grub.d/60-pinion.cfg'), 'utf8')) ?? [];
  return { file: join(made, 'disk.img'), kernel: join(kernel, vmlinuz), commandLine };
}

async function kernelTree(): Promise<string> {
  const base = await baseRoot();
  return stored('kernel', keyOf([basename(base), unpack]), async (folder) => {
    const env = { PATH: '/usr/sbin:/usr/bin:/sbin:/bin' };
    await inTree(base, ['sh', '-euc', unpack, 'sh', folder], { writes: 'thrown-away', binds: [folder], env, timeoutMs: 300_000 });
  });
}
