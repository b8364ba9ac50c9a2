import { listsFlag } from './commandHelp.ts';
import type { CommandHelp } from './commandHelp.ts';
import type { Facts } from './facts.ts';
import { OUTSIDE } from './outside.ts';
import { pathFault } from './pathNames.ts';

/** `npm run migrate -- up`, `npm test`, `npm start -- --workers 4` */
const NPM = /^npm (?:run (?:-s |--silent )?)?(?<script>[\w:-]+)(?: --silent)?(?: +-- +(?<rest>.*))?$/;
/** `node dist/migrate.mjs up` */
const BUILT = /^node (?:--[\w-]+=\d+ )?(?:dist\/)?(?<script>[\w-]+)\.mjs(?: +(?<rest>.*))?$/;
/** `reconcile --repair`: a script with flags, and nothing in front */
const SHORT = /^(?<script>[\w:-]+) (?:-- )?(?<rest>--.*)$/;

/** Commands of package.json and of a build: the script, its flags, its files and the variables in front exist. */
export function commandFault(text: string, facts: Facts): string | null | undefined {
  const [, before = '', call = ''] = /^((?:[A-Z_]+=\S+ +)*)(.*)$/.exec(text) ?? [];
  const parts = partsOf(call, facts);
  if (parts === undefined)
    return /^npm (run (?!-)|test|start)\b/.test(call) ? 'it has not the form of a command' : undefined;
  const unset = (before.match(/[A-Z_]+(?==)/g) ?? []).find((name) => !facts.words.has(name) && !OUTSIDE.has(name));
  if (unset !== undefined) return `there is no environment variable ${unset}`;
  const help = facts.helps.get(parts.script);
  if (help === undefined) return `package.json has no script ${parts.script}`;
  return restFault(parts.script, help, parts.rest) ?? fileFault(parts.rest, facts);
}

function partsOf(call: string, { helps }: Facts): { readonly script: string; readonly rest: string } | undefined {
  const short = SHORT.exec(call)?.groups;
  const known = short !== undefined && commandsOf(helps).has(short['script'] ?? '') ? short : undefined;
  const groups = NPM.exec(call)?.groups ?? BUILT.exec(call)?.groups ?? known;
  const { script = '', rest = '' } = groups ?? {};
  if (groups === undefined || /^npm (?!run |test\b|start\b)|^npm run -/.test(call)) return undefined;
  // A sub-command alone: `unlock --end`.
  const above = [...helps].find(([name, { subcommands }]) => name !== script && subcommands.has(script))?.[0];
  if (above !== undefined && !helps.has(script)) return { script: above, rest: `${script} ${rest}` };
  return { script: script === 'main' ? 'start' : script, rest };
}

function commandsOf(helps: Facts['helps']): Set<string> {
  return new Set([...helps].flatMap(([name, { subcommands }]) => [name, ...subcommands.keys()]));
}

function restFault(script: string, { text, subcommands }: CommandHelp, rest: string): string | null {
  const [first = ''] = rest.split(' ');
  if (subcommands.size > 0 && /^[a-z]/.test(first) && !subcommands.has(first))
    return `${script} has no command ${first}`;
  const help = `${text}\n${subcommands.get(first) ?? ''}`;
  const flag = (rest.match(/(?<=^|[\s[])--[a-z][\w-]*/g) ?? []).find((name) => !listsFlag(help, name));
  return flag === undefined ? null : `${script} has no flag ${flag}`;
}

function fileFault(rest: string, facts: Facts): string | null {
  const paths = rest.split(' ').filter((word) => /^(src|test|scripts|docs|deploy)\//.test(word));
  return paths.map((path) => pathFault(path, facts)).find((fault) => typeof fault === 'string') ?? null;
}
