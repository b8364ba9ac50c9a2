/** Chooses the server: the first source of servers that works. */
import { join } from 'node:path';
import { findImage } from '../image.ts';
import type { ContainerImage } from '../image.ts';
import { findInstalled } from './installed.ts';
import type { Installation, ServerKind } from './installation.ts';
import { listCandidates, privateCopy } from './privateCopy.ts';
import { makeTemplate } from './template.ts';
import { errorText } from '../../../src/core/text/errorText.ts';

export interface ServerSource<T> {
  /** The source, for messages. */
  name: string;
  take: () => Promise<T>;
}

export interface FindOptions {
  kind: 'auto' | ServerKind;
  /** The folder of private copies and templates. */
  dataDirectory: string;
  debianMirror: string | undefined;
  /** Use only containers of this image; undefined: containers are the last source. */
  image: string | undefined;
  say: (line: string) => void;
}

/** A server program with initialised data to copy, or an image whose containers make their own data. */
export type FoundServer = { installation: Installation; template: string } | { image: ContainerImage };

/** The images that are used when STOCKGATE_MYSQL_IMAGE is not set. */
const IMAGES: Record<'auto' | ServerKind, string> = { auto: 'mysql:8.4', mysql: 'mysql:8.4', mariadb: 'mariadb:10.11' };

/** The product that was found, as a program or as an image. */
export function productOf(found: FoundServer): Pick<Installation, 'kind' | 'version' | 'origin'> {
  return 'image' in found ? found.image : found.installation;
}

/**
 * Finds or fetches a server: one installed on this machine, else a private copy, else containers. Each source prefers
 * MySQL. A source works only if the server could also initialise its data: some installed servers may not write here.
 */
export async function findServer(options: FindOptions): Promise<FoundServer> {
  const kinds: readonly ServerKind[] = options.kind === 'auto' ? ['mysql', 'mariadb'] : [options.kind];
  const containers = (name: string): ServerSource<FoundServer> => ({
    name: `containers of ${name}`,
    take: async () => ({ image: await findImage(name, kinds, options.say) }),
  });
  if (options.image !== undefined) return firstWorking([containers(options.image)], options.say);
  const copies = join(options.dataDirectory, 'copies');
  const withTemplate = async (installation: Installation): Promise<FoundServer> => ({
    installation,
    template: await makeTemplate(installation, join(options.dataDirectory, 'templates'), options.say),
  });
  const candidates = (await listCandidates(options.debianMirror)).filter((candidate) => kinds.includes(candidate.kind));
  const rungs: ServerSource<FoundServer>[] = [
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
  return firstWorking(rungs, options.say);
}

/**
 * Tries sources in order, and reports each one that does not work, with the reason.
 *
 * @throws when none works, with every source and its reason.
 */
export async function firstWorking<T>(rungs: readonly ServerSource<T>[], say: (line: string) => void): Promise<T> {
  const failures: string[] = [];
  for (const rung of rungs) {
    try {
      return await rung.take();
    } catch (error) {
      const reason = errorText(error);
      failures.push(`- no ${rung.name}: ${reason}`);
      say(`no ${rung.name}: ${reason.split('\n')[0]}`);
    }
  }
  throw new Error(
    `No MySQL or MariaDB could be had. Name a server in STOCKGATE_MYSQL_SERVERS. Tried:\n${failures.join('\n')}`,
  );
}
