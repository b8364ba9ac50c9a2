/** Decides which server is used: the first rung that holds. */
import { join } from 'node:path';
import { findImage } from './image.ts';
import type { ContainerImage } from './image.ts';
import { findInstalled } from './installed.ts';
import type { Installation, ServerKind } from './installation.ts';
import { listCandidates, privateCopy } from './privateCopy.ts';
import { makeTemplate } from './template.ts';

export interface Rung<T> {
  /** What is tried, for people. */
  name: string;
  take: () => Promise<T>;
}

export interface FindOptions {
  kind: 'auto' | ServerKind;
  /** Where private copies and templates are kept. */
  dataDirectory: string;
  debianMirror: string | undefined;
  /** Containers of this image and nothing else; undefined: containers come last. */
  image: string | undefined;
  say: (line: string) => void;
}

/** A server that can be run, and initialised data to copy for it; or an image whose containers make their own. */
export type Found = { installation: Installation; template: string } | { image: ContainerImage };

/** Images that are pulled where nobody names one. */
const IMAGES: Record<'auto' | ServerKind, string> = { auto: 'mysql:8.4', mysql: 'mysql:8.4', mariadb: 'mariadb:10.11' };

/** What was found, whichever way it runs. */
export function productOf(found: Found): Pick<Installation, 'kind' | 'version' | 'origin'> {
  return 'image' in found ? found.image : found.installation;
}

/**
 * Finds or fetches a server: one installed on this machine, else a private copy, else containers. MySQL is preferred on each
 * rung. A rung holds only when the server could also initialise its data: some are installed, yet forbidden to write here.
 */
export async function findServer(options: FindOptions): Promise<Found> {
  const kinds: readonly ServerKind[] = options.kind === 'auto' ? ['mysql', 'mariadb'] : [options.kind];
  const containers = (name: string): Rung<Found> => ({
    name: `containers of ${name}`,
    take: async () => ({ image: await findImage(name, kinds, options.say) }),
  });
  if (options.image !== undefined) return takeFirst([containers(options.image)], options.say);
  const copies = join(options.dataDirectory, 'copies');
  const withTemplate = async (installation: Installation): Promise<Found> => ({
    installation,
    template: await makeTemplate(installation, join(options.dataDirectory, 'templates'), options.say),
  });
  const candidates = (await listCandidates(options.debianMirror)).filter((candidate) => kinds.includes(candidate.kind));
  const rungs: Rung<Found>[] = [
    {
      name: 'server on this machine',
      take: async () => withTemplate(await findInstalled(kinds, process.env.PATH ?? '')),
    },
    ...candidates.map((candidate) => ({
      name: `${candidate.packages[0]} from ${candidate.origin}`,
      take: async () => withTemplate(await privateCopy(candidate, copies, options.say)),
    })),
    containers(IMAGES[options.kind]),
  ];
  return takeFirst(rungs, options.say);
}

/**
 * Tries rungs in order and reports each one that does not hold, with the reason.
 *
 * @throws when none holds, with every rung and its reason.
 */
export async function takeFirst<T>(rungs: readonly Rung<T>[], say: (line: string) => void): Promise<T> {
  const failures: string[] = [];
  for (const rung of rungs) {
    try {
      return await rung.take();
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error);
      failures.push(`- no ${rung.name}: ${reason}`);
      say(`no ${rung.name}: ${reason.split('\n')[0]}`);
    }
  }
  throw new Error(
    `No MySQL or MariaDB could be had. STOCKGATE_MYSQL_SERVERS can name one; tried were:\n${failures.join('\n')}`,
  );
}
