import { fileURLToPath } from 'node:url';

/** The absolute path of something in this checkout, wherever the command was called from. */
export function projectPath(relative: string): string {
  return fileURLToPath(new URL(`../../${relative}`, import.meta.url));
}
