/** Unpacks packages into a folder, without installing them, and runs programs from there. */
import { access, mkdir, rm } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { run } from '../run.ts';

const UNPACK_LIMIT_MS = 120_000;
const UNPACKERS = 2;

/** For each processor: the name of its library folders, and the loader of dynamically linked programs. */
const PLATFORMS: Partial<Record<NodeJS.Architecture, { libraries: string; loader: string }>> = {
  x64: { libraries: 'x86_64-linux-gnu', loader: 'ld-linux-x86-64.so.2' },
  arm64: { libraries: 'aarch64-linux-gnu', loader: 'ld-linux-aarch64.so.1' },
};

/**
 * Unpacks .deb files into a new folder.
 *
 * @param needless folders of the packages that are deleted afterwards
 */
export async function unpack(files: readonly string[], prefix: string, needless: readonly string[]): Promise<void> {
  await mkdir(prefix);
  const queue = [...files];
  const work = async (): Promise<void> => {
    for (let file = queue.shift(); file !== undefined; file = queue.shift()) {
      await run({ command: 'dpkg-deb', arguments: ['-x', file, prefix], timeoutMs: UNPACK_LIMIT_MS });
    }
  };
  await Promise.all(Array.from({ length: UNPACKERS }, work));
  await Promise.all(needless.map((part) => rm(join(prefix, part), { recursive: true, force: true })));
}

/**
 * The command that runs a program from unpacked packages. It uses the loader and the libraries of the packages, which
 * may need a newer C library than the machine has.
 *
 * @param more further library folders below the prefix
 */
export async function commandWithLoader(
  prefix: string,
  program: string,
  more: readonly string[] = [],
): Promise<[string, ...string[]]> {
  const platform = PLATFORMS[process.arch];
  if (platform === undefined) throw new Error(`private copies are made on x64 and arm64 only, not on ${process.arch}`);
  // Older releases have the C library in /lib, newer ones in /usr/lib.
  const libraries = [`usr/lib/${platform.libraries}`, `lib/${platform.libraries}`, ...more].map((folder) =>
    join(prefix, folder),
  );
  const loader = await firstExisting(libraries.map((folder) => join(folder, platform.loader)));
  return [loader, '--library-path', libraries.join(':'), program];
}

/** @throws when none of the files exists */
export async function firstExisting(paths: readonly string[]): Promise<string> {
  for (const path of paths)
    if (
      await access(path).then(
        () => true,
        () => false,
      )
    )
      return path;
  throw new Error(`the packages do not contain ${paths.map((path) => basename(path))[0]}`);
}
