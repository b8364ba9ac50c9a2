import { readFile } from 'node:fs/promises';
import { debianSources, machineMirrors } from './apt.ts';

/** The release of this machine. */
export interface System {
  /** For messages: 'Debian 12'. */
  name: string;
  codename: string;
  isDebian: boolean;
}

/** Reads /etc/os-release. */
export async function readSystem(): Promise<System> {
  const text = await readFile('/etc/os-release', 'utf8').catch(() => '');
  const field = (name: string): string => new RegExp(`^${name}="?([^"\\n]*)"?$`, 'm').exec(text)?.[1] ?? '';
  const name = `${field('NAME').replace(' GNU/Linux', '')} ${field('VERSION_ID') || field('VERSION_CODENAME')}`.trim();
  return { name: name || 'an unknown system', codename: field('VERSION_CODENAME'), isDebian: field('ID') === 'debian' };
}

/** Lines of a sources.list for packages of the machine's own release; undefined: use the sources of the machine. */
export async function releaseSources(system: System, debianMirror: string | undefined): Promise<string | undefined> {
  return debianMirror !== undefined && system.isDebian ? debianSources([debianMirror], system.codename) : undefined;
}

/**
 * Lines of a sources.list for packages of Debian unstable, from the machine's own mirrors unless `debianMirror` is set.
 *
 * @param scratch a folder for apt, which the caller removes
 */
export async function unstableSources(
  system: System,
  debianMirror: string | undefined,
  scratch: string,
): Promise<string> {
  if (debianMirror !== undefined) return debianSources([debianMirror], 'unstable');
  if (!system.isDebian) throw new Error('this is not Debian: STOCKGATE_DEBIAN_MIRROR must name a mirror');
  const mirrors = await machineMirrors({ directory: scratch });
  if (mirrors.length === 0)
    throw new Error("no mirror in this machine's apt configuration: STOCKGATE_DEBIAN_MIRROR can name one");
  return debianSources(mirrors, 'unstable');
}
