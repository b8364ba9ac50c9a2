import type { Facts } from './facts.ts';

const FILE = /[^/]\.(ts|mjs|js|json|yml|sql|md|lua|csv|patch|sh)$/;
/** Made on each machine. */
const MADE = /^(\.local|dist|node_modules|coverage)(\/|$)/;
/** In the place of a name of the reader's own. */
const PLACEHOLDER = /(^|\/)(FILE|NAME|N{3,4}[-_])|[<…]/;
/** The files of a build, which lie beside each other. */
const BUILT = ['main.mjs', 'migrate.mjs', 'reconcile.mjs', 'import-stock.mjs'];

/** Paths of files and folders of the project, from its root or, for a folder of `src`, from there. */
export function pathFault(text: string, { files }: Pick<Facts, 'files'>): string | null | undefined {
  if (/^[\w.-]+\/$/.test(text)) return hasFolder(text, files) ? null : 'there is no such folder';
  if (/^\d{4}_\w+$/.test(text)) return files.has(`migrations/${text}.ts`) ? null : 'there is no such migration';
  const path = text.replace(/\/$/, '').replace(/:\d+$/, '');
  if (!/^[\w.@{},*/<>…-]+$/.test(path) || path.startsWith('/')) return undefined;
  if (MADE.test(path) || PLACEHOLDER.test(path) || BUILT.includes(path)) return null;
  const [first = ''] = path.split('/');
  const isPath = path.includes('/') && (files.has(first) || files.has(`src/${first}`));
  if (!isPath && !FILE.test(path)) return undefined;
  return patternsOf(path).every((pattern) => isThere(pattern, files)) ? null : 'there is no such file or folder';
}

/** A folder alone may lie anywhere, because a table often names its folder above. */
function hasFolder(name: string, files: ReadonlySet<string>): boolean {
  const folder = name.slice(0, -1);
  return MADE.test(folder) || [...files].some((file) => file === folder || file.endsWith(`/${folder}`));
}

function isThere(path: string, files: ReadonlySet<string>): boolean {
  if (files.has(path) || files.has(`src/${path}`)) return true;
  const end = path.replaceAll(/[.*+?^$()|[\]\\]/g, (sign) => (sign === '*' ? '[^/]*' : `\\${sign}`));
  const pattern = new RegExp(path.includes('/') ? `^${end}$` : `(^|/)${end}$`);
  return [...files].some((file) => pattern.test(file));
}

/** Writes out the first braces, and so all: `a.{b,c}` → `a.b`, `a.c`. */
function patternsOf(path: string): string[] {
  const [whole, before = '', inside = '', after = ''] = /^(.*?)\{([^{}]*)\}(.*)$/.exec(path) ?? [];
  if (whole === undefined) return [path];
  return inside.split(',').flatMap((part) => patternsOf(`${before}${part}${after}`));
}
