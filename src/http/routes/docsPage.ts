import { readFile } from 'node:fs/promises';
import { projectPath } from '../../projectPath.ts';
import { PAGE_FILES } from '../page/pageFiles.ts';
import { route } from '../route.ts';
import type { Route } from '../route.ts';

/**
 * The rights of the page in a browser: it loads the files of this listener and sends requests to it. The renderer has
 * its icons in `data:` addresses. The page asks no other address, has no script in its text, and no other page frames
 * it.
 */
const CONTENT_SECURITY_POLICY = [
  "default-src 'none'",
  "script-src 'self'",
  "style-src 'self'",
  "img-src 'self' data:",
  "connect-src 'self'",
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'",
].join('; ');

const HEADERS = {
  'Content-Security-Policy': CONTENT_SECURITY_POLICY,
  'X-Content-Type-Options': 'nosniff',
  'Referrer-Policy': 'no-referrer',
} as const;

/**
 * The page that shows the API, and the files that it loads. It is not part of the API. The files are the same in every
 * installation, so no token is needed for them; the page asks for one when `/openapi.json` needs it.
 */
export function docsPageRoutes(): Route[] {
  return PAGE_FILES.map(({ path, file, contentType }) =>
    route({
      method: 'get',
      path,
      answers: { 200: 'text' },
      problems: [],
      open: true,
      // Read again for each request: the page is opened rarely, and its renderer is too large to keep.
      handle: async () => ({
        status: 200,
        contentType,
        body: await readFile(projectPath(file), 'utf8'),
        headers: HEADERS,
        outcome: 'done',
      }),
    }),
  );
}
