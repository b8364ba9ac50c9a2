import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** A folder for the files of one test file. */
export interface TemporaryFolder {
  readonly path: string;
  /** Writes a file. @returns its path */
  write(name: string, content: string | Buffer): string;
  remove(): void;
}

/** Files in it that end in `.ts` are modules, like those of this project. */
export function temporaryFolder(): TemporaryFolder {
  const path = mkdtempSync(join(tmpdir(), 'stockgate-'));
  const write: TemporaryFolder['write'] = (name, content) => {
    writeFileSync(join(path, name), content);
    return join(path, name);
  };
  write('package.json', '{ "type": "module" }');
  return { path, write, remove: () => rmSync(path, { recursive: true, force: true }) };
}
