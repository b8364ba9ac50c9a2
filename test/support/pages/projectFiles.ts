import { readdirSync, readFileSync, statSync } from 'node:fs';
import { projectPath } from '../../../src/projectPath.ts';

/** Folders whose files are made or fetched on each machine. */
const MADE = ['node_modules', '.git', '.local', 'dist', 'coverage', '.installing'];
/** Links and names are checked in the pages in the root of the project and in this folder. */
const PAGES = /^([^/]+|docs\/.+)\.md$/;
/** These two have the names of their time, so only their links are checked. */
const HISTORY = ['CHANGELOG.md', 'docs/evidence.md'];

/** The paths of all files and folders of the project. */
export function projectFiles(): string[] {
  return readdirSync(projectPath('.'), { withFileTypes: true })
    .filter(({ name }) => !MADE.includes(name))
    .flatMap((entry) =>
      entry.isDirectory()
        ? [
            entry.name,
            ...readdirSync(projectPath(entry.name), { recursive: true, encoding: 'utf8' }).map(
              (file) => `${entry.name}/${file}`,
            ),
          ]
        : [entry.name],
    )
    .sort();
}

/** The paths of all pages, and of those whose names are checked. */
export function pageFiles(files: readonly string[]): { readonly all: string[]; readonly named: string[] } {
  const all = files.filter((file) => PAGES.test(file));
  return { all, named: all.filter((file) => !HISTORY.includes(file)) };
}

/** The text of a file of the project. */
export function projectText(file: string): string {
  return readFileSync(projectPath(file), 'utf8');
}

/** True for a file, false for a folder. */
export function isFile(path: string): boolean {
  return statSync(projectPath(path)).isFile();
}
