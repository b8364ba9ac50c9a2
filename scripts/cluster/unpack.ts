/** Packages laid out in a folder of ours, never installed, and how to run what lies there. */
import { access, mkdir, rm } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { run } from './run.ts';

const UNPACK_LIMIT_MS = 120_000;
const UNPACKERS = 2;

/** Each processor's name for its library folders, and the program that loads dynamically linked ones. */
const PLATFORMS: Partial<Record<NodeJS.Architecture, { libraries: string; loader: string }>> = {
  x64: { libraries: 'x86_64-linux-gnu', loader: 'ld-linux-x86-64.so.2' },
  arm64: { libraries: 'aarch64-linux-gnu', loader: 'ld-linux-aarch64.so.1' },
};

/**
 * Unpacks .deb files into a folder that is not there yet.
 *
 * @param needless folders of the packages that are deleted again
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
 * The command that runs a program out of unpacked packages. The packages' own loader and libraries are used, so they may
 * need a newer C library than the machine has.
 *
 * @param more folders below the prefix that hold libraries too
 */
export async function loadedBy(
  prefix: string,
  program: string,
  more: readonly string[] = [],
): Promise<[string, ...string[]]> {
  const platform = PLATFORMS[process.arch];
  if (platform === undefined) throw new Error(`there is no recipe for a private copy on ${process.arch}`);
  // Older releases keep the C library in /lib, newer ones in /usr/lib.
  const libraries = [`usr/lib/${platform.libraries}`, `lib/${platform.libraries}`, ...more].map((folder) =>
    join(prefix, folder),
  );
  const loader = await firstPresent(libraries.map((folder) => join(folder, platform.loader)));
  return [loader, '--library-path', libraries.join(':'), program];
}

/** @throws when none of the files is there */
export async function firstPresent(paths: readonly string[]): Promise<string> {
  for (const path of paths)
    if (
      await access(path).then(
        () => true,
        () => false,
      )
    )
      return path;
  throw new Error(`the packages do not hold ${paths.map((path) => basename(path))[0]}`);
}
