import { access, constants } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { identify } from './installation.ts';
import type { Installation, ServerKind } from './installation.ts';
import { run } from '../run.ts';

const VERSION_LIMIT_MS = 20_000;
/** Debian installs servers here, and this folder is not in every PATH. */
const SYSTEM_DIRECTORY = '/usr/sbin';
const PROGRAMS: Record<ServerKind, readonly string[]> = { mysql: ['mysqld'], mariadb: ['mariadbd', 'mysqld'] };

/**
 * A server that is installed on this machine.
 *
 * @param kinds the accepted products, the best one first.
 * @param searchPath as in the variable PATH.
 * @throws when there is none, with the programs that were found instead.
 */
export async function findInstalled(kinds: readonly ServerKind[], searchPath: string): Promise<Installation> {
  const reasons = new Set<string>();
  const directories = [
    ...new Set([...searchPath.split(':').filter((directory) => directory !== ''), SYSTEM_DIRECTORY]),
  ];
  const candidates = kinds.flatMap((kind) =>
    directories.flatMap((directory) => PROGRAMS[kind].map((name) => ({ kind, program: join(directory, name) }))),
  );
  for (const { kind, program } of candidates) {
    if (
      !(await access(program, constants.X_OK).then(
        () => true,
        () => false,
      ))
    )
      continue;
    try {
      const { stdout } = await run({
        command: program,
        arguments: ['--no-defaults', '--version'],
        timeoutMs: VERSION_LIMIT_MS,
      });
      const identity = identify(stdout);
      if (identity.kind === kind) return describe(program, identity);
      reasons.add(`${program} is ${identity.kind === 'mysql' ? 'MySQL' : 'MariaDB'}`);
    } catch (error) {
      reasons.add(`${program}: ${(error as Error).message}`);
    }
  }
  const sought = [...new Set(kinds.flatMap((kind) => PROGRAMS[kind]))].join(' or ');
  throw new Error(reasons.size > 0 ? [...reasons].join('; ') : `no ${sought} in PATH or ${SYSTEM_DIRECTORY}`);
}

function describe(program: string, identity: Pick<Installation, 'kind' | 'version'>): Installation {
  const beside = join(dirname(program), '..', 'share');
  const shareDirectories = [beside, '/usr/share'].flatMap((share) => [
    join(share, 'mysql'),
    join(share, 'mariadb'),
    share,
  ]);
  return { ...identity, origin: `installed as ${program}`, command: [program], arguments: [], shareDirectories };
}
