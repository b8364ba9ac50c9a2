import { access, constants, rm } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { download } from './apt.ts';
import { readEnvironment } from '../environment.ts';
import { makeOnce } from '../ownership.ts';
import { readSystem, releaseSources, unstableSources } from './system.ts';
import { firstExisting, commandWithLoader, unpack } from './unpack.ts';
import { errorText } from '../../../src/core/text/errorText.ts';

/** An external program, and the package with it: of the machine's release, or of Debian unstable. */
export interface Tool {
  readonly program: string;
  readonly packageName: string;
  readonly isOfUnstable?: boolean;
}

/** The program, and the arguments that precede its own. */
export type Command = readonly [string, ...string[]];

export const WRK: Tool = { program: 'wrk', packageName: 'wrk' };
export const PROMETHEUS: Tool = { program: 'prometheus', packageName: 'prometheus' };
export const PROMTOOL: Tool = { program: 'promtool', packageName: 'prometheus' };
export const MYSQL: Tool = { program: 'mysql', packageName: 'mysql-client-core', isOfUnstable: true };
export const MYSQLDUMP: Tool = { program: 'mysqldump', packageName: 'mysql-client-core', isOfUnstable: true };
export const REDIS: Tool = { program: 'redis-server', packageName: 'redis-server' };

/**
 * Finds a tool in PATH, or makes a private copy from Debian's packages.
 *
 * @returns null, after a message with the reason, where neither can be had
 */
export async function findTool(
  tool: Tool,
  dataDirectory: string,
  say: (line: string) => void,
): Promise<Command | null> {
  for (const directory of (process.env['PATH'] ?? '').split(':').filter((part) => part !== '')) {
    const path = join(directory, tool.program);
    if (
      await access(path, constants.X_OK).then(
        () => true,
        () => false,
      )
    )
      return [path];
  }
  try {
    return await privateTool(tool, join(resolve(dataDirectory), 'copies'), say);
  } catch (error) {
    say(`no ${tool.program}: ${errorText(error)}`);
    return null;
  }
}

async function privateTool(
  { program, packageName, isOfUnstable = false }: Tool,
  copies: string,
  say: (line: string) => void,
): Promise<Command> {
  const system = await readSystem();
  const origin = isOfUnstable ? 'Debian unstable' : system.name;
  const home = join(copies, `${packageName} ${origin}`.toLowerCase().replaceAll(/[^a-z0-9.]+/g, '-'));
  await makeOnce(home, async (temporary) => {
    const scratch = join(temporary, 'apt');
    const { debianMirror } = readEnvironment(process.env);
    const sources = isOfUnstable
      ? await unstableSources(system, debianMirror, scratch)
      : await releaseSources(system, debianMirror);
    say(`fetching ${packageName} from ${origin}`);
    const files = await download({ directory: scratch, ...(sources !== undefined && { sources }) }, [packageName]);
    await unpack(files, join(temporary, 'prefix'), ['usr/share']);
    await rm(scratch, { recursive: true });
    return { packageName, origin };
  });
  const prefix = join(home, 'prefix');
  return commandWithLoader(
    prefix,
    await firstExisting([join(prefix, 'usr/bin', program), join(prefix, 'bin', program)]),
  );
}
