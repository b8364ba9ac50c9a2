/**
 * apt in a root of its own: fetches packages with all their dependencies, without root, and without changing the
 * machine's state. It shares only the machine's keys, proxies and, when asked for, package sources.
 */
import { mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { run } from '../run.ts';

const UPDATE_LIMIT_MS = 180_000;
const DOWNLOAD_LIMIT_MS = 600_000;
const KEYRINGS = ['debian-archive-keyring.gpg', 'debian-archive-keyring.pgp'].map((name) =>
  join('/usr/share/keyrings', name),
);

export interface AptRoot {
  /** A folder that this module empties or creates, and the caller removes. */
  directory: string;
  /** Lines of a sources.list; absent: the sources of the machine. */
  sources?: string;
}

/**
 * Fetches the first available one of several packages, with all its dependencies.
 *
 * @param packages names, the best one first.
 * @returns the paths of the .deb files.
 * @throws with the complaints of apt.
 */
export async function download(root: AptRoot, packages: readonly string[]): Promise<string[]> {
  await prepare(root);
  // A source may fail as long as another one has the package. If none has it, the complaint is the reason.
  const updated = await aptGet(root, ['update'], UPDATE_LIMIT_MS).then(
    (printed) => printed.stderr,
    (error: Error) => error.message,
  );
  const reasons = complaints(updated);
  for (const name of packages) {
    try {
      await aptGet(root, ['install', '--download-only', name], DOWNLOAD_LIMIT_MS);
      const archives = join(root.directory, 'cache', 'archives');
      return (await readdir(archives)).filter((file) => file.endsWith('.deb')).map((file) => join(archives, file));
    } catch (error) {
      reasons.push(...complaints((error as Error).message));
    }
  }
  throw new Error([...new Set(reasons)].join('\n  '));
}

/** The mirrors in the machine's apt configuration, without those for security and other partial suites. */
export async function machineMirrors(root: AptRoot): Promise<string[]> {
  await prepare(root);
  const printed = await aptGet(root, ['update', '--print-uris'], UPDATE_LIMIT_MS);
  return mirrorsIn(printed.stdout);
}

/** The mirrors among the addresses that `apt-get update --print-uris` prints. */
export function mirrorsIn(printed: string): string[] {
  const found = printed.matchAll(/^'(\S+?)\/dists\/([^/\s]+)\/InRelease'/gm);
  return [...new Set([...found].filter(([, , suite]) => !suite?.includes('-')).map(([, mirror]) => mirror ?? ''))];
}

/**
 * Lines of a sources.list for Debian's main packages, accepted only with Debian's own keys.
 *
 * @throws when the machine does not have the keys.
 */
export async function debianSources(mirrors: readonly string[], suite: string): Promise<string> {
  for (const keyring of KEYRINGS) {
    if (
      await readFile(keyring).then(
        () => true,
        () => false,
      )
    ) {
      return mirrors.map((mirror) => `deb [signed-by=${keyring} target=Packages] ${mirror} ${suite} main\n`).join('');
    }
  }
  throw new Error("this machine does not have the Debian archive's keys (package debian-archive-keyring)");
}

async function prepare(root: AptRoot): Promise<void> {
  await rm(root.directory, { recursive: true, force: true });
  const path = (...parts: string[]): string => join(root.directory, ...parts);
  await Promise.all(
    ['state', 'lists/partial', 'cache/archives/partial'].map((part) => mkdir(path(part), { recursive: true })),
  );
  // With an empty status file no package counts as installed, so every dependency is fetched, down to the C library.
  await writeFile(path('status'), '');
  const own =
    root.sources === undefined
      ? []
      : [
          ['Dir::Etc::sourcelist', path('sources.list')],
          ['Dir::Etc::sourceparts', '/dev/null'],
        ];
  if (root.sources !== undefined) await writeFile(path('sources.list'), root.sources);
  const settings = [
    ...own,
    ['Dir::State', path('state')],
    ['Dir::State::lists', path('lists')],
    ['Dir::State::status', path('status')],
    ['Dir::Cache', path('cache')],
    ['Dir::Etc::preferences', '/dev/null'],
    ['Dir::Etc::preferencesparts', '/dev/null'],
    ['APT::Sandbox::User', 'root'],
    ['APT::Install-Recommends', 'false'],
    ['Acquire::Languages', 'none'],
    ['Acquire::Retries', '1'],
    ['Acquire::http::Timeout', '15'],
    ['Acquire::https::Timeout', '15'],
  ].map(([name, value]) => `${name} "${value}";\n`);
  // The machine's hooks would refresh caches and notify services about an update that does not concern them.
  const hooks = ['Pre-Invoke', 'Post-Invoke', 'Post-Invoke-Success'].map((hook) => `#clear APT::Update::${hook};\n`);
  await writeFile(path('apt.conf'), [...settings, ...hooks].join(''));
}

function aptGet(root: AptRoot, parameters: readonly string[], timeoutMs: number): ReturnType<typeof run> {
  const configuration = join(root.directory, 'apt.conf');
  return run({ command: 'apt-get', arguments: ['-c', configuration, '-q', '-y', ...parameters], timeoutMs });
}

/** Messages of apt that are of little use here. */
const CHATTER = /Some index files failed|Couldn't find any package by/;

/** The errors and warnings of apt; without any, the last line of its output. */
function complaints(printed: string): string[] {
  const lines = printed
    .split('\n')
    .map((line) => line.trim())
    .filter((line) => line !== '');
  const own = lines.map((line) => /\b[EW]: .*/.exec(line)?.[0]).filter((line) => line !== undefined);
  return own.length > 0 ? own.filter((line) => !CHATTER.test(line)) : lines.slice(-1);
}
