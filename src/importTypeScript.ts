import { pathToFileURL } from 'node:url';

let registered: Promise<void> | null = null;

/**
 * Imports a file that may be TypeScript. Where nothing compiles it, because what runs was built, tsx is asked to; so a gateway
 * pays for tsx only when it is given such a file.
 *
 * @throws whatever its import throws
 */
export async function importTypeScript(path: string): Promise<unknown> {
  const { href } = pathToFileURL(path);
  try {
    return await import(href);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ERR_UNKNOWN_FILE_EXTENSION') throw error;
    registered ??= import('tsx/esm/api').then(({ register }) => void register());
    await registered;
    // Under another name, because Node.js keeps what failed.
    return await import(`${href}?again`);
  }
}
