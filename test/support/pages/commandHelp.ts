import { inParallel } from '../../../scripts/support/inParallel.ts';
import { runFile } from '../run/command.ts';
import { projectText } from './projectFiles.ts';

/** The `--help` of a command, and of its sub-commands. */
export interface CommandHelp {
  readonly text: string;
  readonly subcommands: ReadonlyMap<string, string>;
}

/** Reads the `--help` of every command in package.json, by the name of its script. */
export async function readHelps(files: readonly string[]): Promise<Map<string, CommandHelp>> {
  const helps = new Map<string, CommandHelp>();
  await inParallel(Object.entries(sourcesOf(files)), 2, async ([script, file]) => {
    const text = await helpOf(file);
    const names = [...(text.split('\nCommands:\n')[1] ?? '').matchAll(/^ {2}([a-z][\w-]*)/gm)].map(
      ([, name = '']) => name,
    );
    const subcommands = new Map<string, string>();
    for (const name of names) if (name !== 'help') subcommands.set(name, await helpOf(file, name));
    helps.set(script, { text, subcommands });
  });
  return helps;
}

/** The source file of each script. @throws when a script has none, because its flags could not be checked */
function sourcesOf(files: readonly string[]): Record<string, string> {
  const { scripts } = JSON.parse(projectText('package.json')) as { scripts: Record<string, string> };
  return Object.fromEntries(
    Object.entries(scripts).map(([script, call]) => {
      const [, command = ''] = /scripts\/run\.mjs ([\w-]+)/.exec(call) ?? [];
      const [, own] = / (src\/\S+\.ts)/.exec(call) ?? [];
      const file = [own, `scripts/${command}.ts`, `src/commands/${command}.ts`].find(
        (path) => path !== undefined && files.includes(path),
      );
      if (file === undefined) throw new Error(`no source file of the script ${script}`);
      return [script, file];
    }),
  );
}

async function helpOf(file: string, ...subcommand: readonly string[]): Promise<string> {
  const { code, stdout, stderr } = await runFile(file, [...subcommand, '--help']);
  if (code !== 0) throw new Error(`${file} --help ended with ${code}: ${stderr}`);
  return stdout;
}

/** True when a help lists a flag. */
export function listsFlag(help: string, flag: string): boolean {
  return new RegExp(`^ +(-\\w, )?${flag}(?![\\w-])`, 'm').test(help);
}
