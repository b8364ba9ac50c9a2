/** A server installed for this checkout alone, out of Debian or Ubuntu packages, without root: unpacked, never installed. */
import { access, mkdir, readFile, rm } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { debianSources, download, machineMirrors } from './apt.ts';
import { identify, productName } from './installation.ts';
import type { Installation, ServerKind } from './installation.ts';
import { makeOnce } from './ownership.ts';
import { run } from './run.ts';

const UNPACK_LIMIT_MS = 120_000;
const VERSION_LIMIT_MS = 20_000;
const UNPACKERS = 2;

/** Each processor's name for its library folders, and the program that loads dynamically linked ones. */
const PLATFORMS: Partial<Record<NodeJS.Architecture, { libraries: string; loader: string }>> = {
  x64: { libraries: 'x86_64-linux-gnu', loader: 'ld-linux-x86-64.so.2' },
  arm64: { libraries: 'aarch64-linux-gnu', loader: 'ld-linux-aarch64.so.1' },
};

/** Half of what the packages bring is of no use to a server: Perl for helper scripts, tools, manuals. */
const NEEDLESS_PACKAGE = /^(perl|libperl)/;
const NEEDLESS_DIRECTORIES = ['usr/bin', 'usr/share/doc', 'usr/share/man', 'usr/share/locale'];

/** Packages a private copy can be made of. */
export interface Candidate {
  kind: ServerKind;
  /** Where they are from, for people: 'Debian unstable'. */
  origin: string;
  /** Names of the server's package, the best one first. */
  packages: readonly string[];
  /** Lines of a sources.list, or undefined for the machine's own; may need apt in `scratch` to find out. */
  sources: (scratch: string) => Promise<string | undefined>;
}

/** What could be unpacked on this machine, the best one first within each kind. */
export async function listCandidates(debianMirror: string | undefined): Promise<Candidate[]> {
  const system = await readSystem();
  const release = {
    origin: system.name,
    sources: async () => (debianMirror !== undefined && system.isDebian ? debianSources([debianMirror], system.codename) : undefined),
  };
  const unstable = async (scratch: string): Promise<string> => {
    if (debianMirror !== undefined) return debianSources([debianMirror], 'unstable');
    if (!system.isDebian) throw new Error('this is not Debian: STOCKGATE_DEBIAN_MIRROR must name a mirror');
    const mirrors = await machineMirrors({ directory: scratch });
    if (mirrors.length === 0) throw new Error("no mirror in this machine's apt configuration: STOCKGATE_DEBIAN_MIRROR can name one");
    return debianSources(mirrors, 'unstable');
  };
  return [
    { kind: 'mysql', origin: 'Debian unstable', packages: ['mysql-server-core'], sources: unstable },
    { kind: 'mysql', packages: ['mysql-server-core', 'mysql-server-core-8.4', 'mysql-server-core-8.0'], ...release },
    { kind: 'mariadb', packages: ['mariadb-server-core', 'mariadb-server-core-10.6'], ...release },
  ];
}

/**
 * The private copy made of a candidate's packages; fetched when it is not there yet.
 *
 * @param directory where private copies are kept.
 * @throws when the packages cannot be had, or what was unpacked does not run here.
 */
export async function privateCopy(candidate: Candidate, directory: string, say: (line: string) => void): Promise<Installation> {
  const home = join(directory, `${candidate.kind} ${candidate.origin}`.toLowerCase().replaceAll(/[^a-z0-9.]+/g, '-'));
  const { version } = await makeOnce(home, async (temporary) => {
    const scratch = join(temporary, 'apt');
    const sources = await candidate.sources(scratch);
    say(`fetching ${candidate.packages[0]} from ${candidate.origin}`);
    const files = await download({ directory: scratch, ...(sources !== undefined && { sources }) }, candidate.packages);
    say(`unpacking ${files.length} packages`);
    await unpack(files, join(temporary, 'prefix'));
    await rm(scratch, { recursive: true });
    const [program, ...rest] = (await locate(candidate.kind, temporary)).command;
    const { stdout } = await run({ command: program, arguments: [...rest, '--version'], timeoutMs: VERSION_LIMIT_MS });
    const identity = identify(stdout);
    // A package of this name may be provided by the other product's.
    if (identity.kind !== candidate.kind) throw new Error(`what was fetched is ${productName(identity)}`);
    return identity;
  });
  const { command, ...places } = await locate(candidate.kind, home);
  return { kind: candidate.kind, version, origin: `private copy from ${candidate.origin}`, command, ...places };
}

async function unpack(files: readonly string[], prefix: string): Promise<void> {
  await mkdir(prefix);
  const queue = files.filter((file) => !NEEDLESS_PACKAGE.test(basename(file)));
  const work = async (): Promise<void> => {
    for (let file = queue.shift(); file !== undefined; file = queue.shift()) {
      await run({ command: 'dpkg-deb', arguments: ['-x', file, prefix], timeoutMs: UNPACK_LIMIT_MS });
    }
  };
  await Promise.all(Array.from({ length: UNPACKERS }, work));
  await Promise.all(NEEDLESS_DIRECTORIES.map((part) => rm(join(prefix, part), { recursive: true, force: true })));
}

/**
 * How to run what lies in a private copy. The packages' own loader and libraries are used, so the copy may need a newer
 * C library than the machine has.
 */
async function locate(kind: ServerKind, home: string): Promise<Pick<Installation, 'command' | 'arguments' | 'shareDirectories'>> {
  const platform = PLATFORMS[process.arch];
  if (platform === undefined) throw new Error(`there is no recipe for a private copy on ${process.arch}`);
  const usr = join(home, 'prefix', 'usr');
  // Older releases keep the C library in /lib, newer ones in /usr/lib.
  const libraries = [join(usr, 'lib', platform.libraries), join(home, 'prefix', 'lib', platform.libraries), join(usr, 'lib/mysql/private')];
  const loader = await firstPresent(libraries.map((folder) => join(folder, platform.loader)));
  const program = await firstPresent([join(usr, 'sbin', kind === 'mysql' ? 'mysqld' : 'mariadbd')]);
  const shareDirectories = [join(usr, 'share/mysql'), join(usr, 'share/mariadb')];
  const share = await firstPresent(shareDirectories);
  return {
    command: [loader, '--library-path', libraries.join(':'), program],
    arguments: [
      `--basedir=${usr}`,
      `--plugin-dir=${join(usr, 'lib/mysql/plugin')}`,
      `--lc-messages-dir=${share}`,
      `--character-sets-dir=${join(share, 'charsets')}`,
    ],
    shareDirectories,
  };
}

async function firstPresent(paths: readonly string[]): Promise<string> {
  for (const path of paths) if (await access(path).then(() => true, () => false)) return path;
  throw new Error(`the packages do not hold ${paths.map((path) => basename(path))[0]}`);
}

/** What /etc/os-release says of this machine. */
async function readSystem(): Promise<{ name: string; codename: string; isDebian: boolean }> {
  const text = await readFile('/etc/os-release', 'utf8').catch(() => '');
  const field = (name: string): string => new RegExp(`^${name}="?([^"\\n]*)"?$`, 'm').exec(text)?.[1] ?? '';
  const name = `${field('NAME').replace(' GNU/Linux', '')} ${field('VERSION_ID') || field('VERSION_CODENAME')}`.trim();
  return { name: name || 'an unknown system', codename: field('VERSION_CODENAME'), isDebian: field('ID') === 'debian' };
}
