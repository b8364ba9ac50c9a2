import { commandFault } from './commandNames.ts';
import type { Facts } from './facts.ts';
import { findingAt } from './finding.ts';
import type { Finding } from './finding.ts';
import { OUTSIDE } from './outside.ts';
import type { Block, Located, Page } from './page.ts';
import { pathFault } from './pathNames.ts';
import { callFault, columnFault, metricFault, problemFault, procedureFault } from './productNames.ts';

/**
 * Tests a text as a name of one kind.
 *
 * @returns undefined when the text is no such name, null when the name exists, otherwise the fault
 */
export type NameRule = (text: string, facts: Facts) => string | null | undefined;

/** The first rule that knows a text decides. */
const RULES: readonly NameRule[] = [
  commandFault,
  flagFault,
  variableFault,
  callFault,
  problemFault,
  metricFault,
  procedureFault,
  columnFault,
  pathFault,
  wordFault,
];
const SHELL = ['sh', 'bash', 'shell', 'console'];

/** Finds names in inline code, and in blocks of shell commands and JSON, that do not exist. */
export function wrongNames(page: Page, facts: Facts): Finding[] {
  const inBlocks = page.blocks.flatMap((block) =>
    SHELL.includes(block.language) ? shellNames(block) : block.language === 'json' ? quotedNames(block) : [],
  );
  return [...page.spans.flatMap((span) => [span, ...quotedNames(span)]), ...inBlocks].flatMap((name) => {
    if (OUTSIDE.has(name.text)) return [];
    const fault = RULES.map((rule) => rule(name.text, facts)).find((result) => result !== undefined) ?? null;
    return fault === null ? [] : [findingAt(page, name, fault)];
  });
}

/** Flags alone: at least one command must have each of them. */
function flagFault(text: string, { helps }: Facts): string | null | undefined {
  if (!/^\[?--[a-z]/.test(text)) return undefined;
  const all = [...helps.values()].flatMap(({ text: help, subcommands }) => [help, ...subcommands.values()]).join('\n');
  const flags = text.match(/--[a-z][\w-]*/g) ?? [];
  const unknown = flags.filter(
    (flag) => !OUTSIDE.has(flag) && !new RegExp(`^ +(-\\w, )?${flag}(?![\\w-])`, 'm').test(all),
  );
  return unknown.length === 0 ? null : `no command has the flag ${unknown.join(', ')}`;
}

function variableFault(text: string, { words }: Facts): string | null | undefined {
  const [, name] = /^([A-Z][A-Z0-9]*(?:_[A-Z0-9]+)+)(?:=.*)?$/.exec(text) ?? [];
  if (name === undefined) return undefined;
  return words.has(name) || OUTSIDE.has(name) ? null : 'no such environment variable or constant in the sources';
}

/** A word, or several with dots or hyphens between them. */
function wordFault(text: string, { words }: Facts): string | null | undefined {
  if (!/^#?[A-Za-z][\w.-]*(\[\][\w.]*)?(\(\))?$/.test(text)) return undefined;
  const names = text.includes('-') ? [text] : (text.match(/[A-Za-z_]\w*/g) ?? []);
  // The beginning of a name ends with a hyphen or an underscore: `stockgate-`.
  const unknown = names.filter((name) => !/[-_]$/.test(name) && !words.has(name));
  return unknown.length === 0 ? null : 'no such name in the sources';
}

/** The names in quotes in a text of JSON, or a part of one. */
function quotedNames({ text, line }: Located): Located[] {
  return [...text.matchAll(/"([a-z]+(?:_[a-z]+)+|[a-z]+(?:[A-Z][a-z]+)+)"/g)].map((found) => ({
    text: found[1] ?? '',
    line: line + text.slice(0, found.index).split('\n').length - 1,
  }));
}

/** The commands, variables and calls in a block of shell commands. Comments are left out. */
function shellNames(block: Block): Located[] {
  return block.text.split('\n').flatMap((whole, index) => {
    const text = whole.replace(/(^|\s)#\s.*$/, '');
    const line = block.line + index;
    const commands =
      text.match(/\bnpm (?:run [\w:-]+|test|start)\b[^|;&#]*|\bnode (?:dist\/)?[\w-]+\.mjs[^|;&#]*/g) ?? [];
    const variables = text.match(/(?<![\w$"{])[A-Z][A-Z0-9]*(?:_[A-Z0-9]+)+(?==)/g) ?? [];
    const calls = [...text.matchAll(/(?:-X +|call +)?\b(GET|POST|PUT|DELETE)? +\S*?(\/v1\/[\w/{}-]+)/g)].map(
      ([, method, path = '']) => (method === undefined ? path : `${method} ${path}`),
    );
    return [...commands, ...variables, ...calls, ...quotedNames({ text, line }).map((name) => name.text)].map(
      (name) => ({
        text: name.trim(),
        line,
      }),
    );
  });
}
