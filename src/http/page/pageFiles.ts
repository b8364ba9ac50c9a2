/** A file of the page that shows the API. */
export interface PageFile {
  /** Its address on the admin listener. */
  readonly path: string;
  /** Its place in the checkout, and in a build. */
  readonly file: string;
  readonly contentType: string;
}

const RENDERER = 'node_modules/swagger-ui-dist';

/** Every file that the page consists of. No other file can be read over HTTP. */
export const PAGE_FILES: readonly PageFile[] = [
  { path: '/docs', file: 'src/http/page/index.html', contentType: 'text/html' },
  { path: '/docs/page.css', file: 'src/http/page/page.css', contentType: 'text/css' },
  { path: '/docs/page.js', file: 'src/http/page/page.js', contentType: 'text/javascript' },
  { path: '/docs/swagger-ui.css', file: `${RENDERER}/swagger-ui.css`, contentType: 'text/css' },
  { path: '/docs/swagger-ui-bundle.js', file: `${RENDERER}/swagger-ui-bundle.js`, contentType: 'text/javascript' },
];

/** The licences of the renderer, which a build has beside its files. */
export const PAGE_LICENCES: readonly string[] = ['LICENSE', 'NOTICE', 'swagger-ui-bundle.js.LICENSE.txt'].map(
  (name) => `${RENDERER}/${name}`,
);
