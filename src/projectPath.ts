import { fileURLToPath } from 'node:url';

/** The absolute path of a file in this checkout, independent of the working directory. */
export function projectPath(relative: string): string {
  return fileURLToPath(new URL(`../${relative}`, import.meta.url));
}
