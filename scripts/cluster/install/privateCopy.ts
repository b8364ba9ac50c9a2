/** A server for this checkout alone, from Debian or Ubuntu packages that are unpacked without root, not installed. */
import { rm } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { download } from './apt.ts';
import { identify, productName } from './installation.ts';
import type { Installation, ServerKind } from './installation.ts';
import { makeOnce } from '../ownership.ts';
import { run } from '../run.ts';
import { readSystem, releaseSources, unstableSources } from './system.ts';
import { firstExisting, commandWithLoader, unpack } from './unpack.ts';

const VERSION_LIMIT_MS = 20_000;

/** Half of the content of the packages is not needed by a server: Perl for helper scripts, tools, manuals. */
const NEEDLESS_PACKAGE = /^(perl|libperl)/;
const NEEDLESS_DIRECTORIES = ['usr/bin', 'usr/share/doc', 'usr/share/man', 'usr/share/locale'];

/** Packages that a private copy can be made from. */
export interface Candidate {
  kind: ServerKind;
  /** Their origin, for messages: 'Debian unstable'. */
  origin: string;
  /** Names of the server's package, the best one first. */
  packages: readonly string[];
  /** Lines of a sources.list; undefined for the sources of the machine. May run apt in `scratch`. */
  sources: (scratch: string) => Promise<string | undefined>;
}

/** The packages that may be unpacked on this machine, the best ones of each kind first. */
export async function listCandidates(debianMirror: string | undefined): Promise<Candidate[]> {
  const system = await readSystem();
  const release = { origin: system.name, sources: () => releaseSources(system, debianMirror) };
  const unstable = (scratch: string): Promise<string> => unstableSources(system, debianMirror, scratch);
  return [
    { kind: 'mysql', origin: 'Debian unstable', packages: ['mysql-server-core'], sources: unstable },
    { kind: 'mysql', packages: ['mysql-server-core', 'mysql-server-core-8.4', 'mysql-server-core-8.0'], ...release },
    { kind: 'mariadb', packages: ['mariadb-server-core', 'mariadb-server-core-10.6'], ...release },
  ];
}

/**
 * The private copy from a candidate's packages; fetched if it does not exist.
 *
 * @param directory the folder of private copies.
 * @throws when the packages cannot be had, or their server does not run here.
 */
export async function privateCopy(
  candidate: Candidate,
  directory: string,
  say: (line: string) => void,
): Promise<Installation> {
  const home = join(directory, `${candidate.kind} ${candidate.origin}`.toLowerCase().replaceAll(/[^a-z0-9.]+/g, '-'));
  const { version } = await makeOnce(home, async (temporary) => {
    const scratch = join(temporary, 'apt');
    const sources = await candidate.sources(scratch);
    say(`fetching ${candidate.packages[0]} from ${candidate.origin}`);
    const files = await download({ directory: scratch, ...(sources !== undefined && { sources }) }, candidate.packages);
    say(`unpacking ${files.length} packages`);
    const needed = files.filter((file) => !NEEDLESS_PACKAGE.test(basename(file)));
    await unpack(needed, join(temporary, 'prefix'), NEEDLESS_DIRECTORIES);
    await rm(scratch, { recursive: true });
    const [program, ...rest] = (await locate(candidate.kind, temporary)).command;
    const { stdout } = await run({ command: program, arguments: [...rest, '--version'], timeoutMs: VERSION_LIMIT_MS });
    const identity = identify(stdout);
    // A package of the other product may provide this name.
    if (identity.kind !== candidate.kind) throw new Error(`the packages contain ${productName(identity)}`);
    return identity;
  });
  const { command, ...places } = await locate(candidate.kind, home);
  return { kind: candidate.kind, version, origin: `private copy from ${candidate.origin}`, command, ...places };
}

/** Finds the command and the arguments of the server in a private copy. */
async function locate(
  kind: ServerKind,
  home: string,
): Promise<Pick<Installation, 'command' | 'arguments' | 'shareDirectories'>> {
  const prefix = join(home, 'prefix');
  const usr = join(prefix, 'usr');
  const program = await firstExisting([join(usr, 'sbin', kind === 'mysql' ? 'mysqld' : 'mariadbd')]);
  const shareDirectories = [join(usr, 'share/mysql'), join(usr, 'share/mariadb')];
  const share = await firstExisting(shareDirectories);
  return {
    command: await commandWithLoader(prefix, program, ['usr/lib/mysql/private']),
    arguments: [
      `--basedir=${usr}`,
      `--plugin-dir=${join(usr, 'lib/mysql/plugin')}`,
      `--lc-messages-dir=${share}`,
      `--character-sets-dir=${join(share, 'charsets')}`,
    ],
    shareDirectories,
  };
}
