import { pathToFileURL } from 'node:url';

let registered: Promise<void> | null = null;

/**
 * Imports a file that may be TypeScript. When no loader compiles it, because the gateway runs as built JavaScript, tsx
 * is registered. So a gateway loads tsx only for such a file.
 *
 * @throws any error of the import
 */
export async function importTypeScript(path: string): Promise<unknown> {
  const { href } = pathToFileURL(path);
  try {
    return await import(href);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ERR_UNKNOWN_FILE_EXTENSION') throw error;
    registered ??= import('tsx/esm/api').then(({ register }) => void register());
    await registered;
    // Under another name, because Node.js caches the failed import.
    return await import(`${href}?again`);
  }
}
