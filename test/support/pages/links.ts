import { posix } from 'node:path';
import { findingAt } from './finding.ts';
import type { Finding } from './finding.ts';
import type { Page } from './page.ts';

/**
 * Finds links to files and anchors that do not exist. Links to other sites are not followed.
 *
 * @param files all files and folders of the project
 * @param pages all pages, by path
 */
export function brokenLinks(page: Page, files: ReadonlySet<string>, pages: ReadonlyMap<string, Page>): Finding[] {
  return page.links.flatMap((link) => {
    const fault = linkFault(page, link.text, files, pages);
    return fault === null ? [] : [findingAt(page, link, fault)];
  });
}

function linkFault(
  page: Page,
  target: string,
  files: ReadonlySet<string>,
  pages: ReadonlyMap<string, Page>,
): string | null {
  if (/^[a-z][a-z+.-]*:/.test(target)) return null;
  const [path = '', anchor] = target.split('#');
  const file = path === '' ? page.file : posix.normalize(posix.join(posix.dirname(page.file), path)).replace(/\/$/, '');
  if (!files.has(file)) return `there is no ${file}`;
  if (anchor === undefined) return null;
  const linked = file === page.file ? page : pages.get(file);
  if (linked === undefined) return `${file} is no page, so it has no anchors`;
  return linked.anchors.has(decodeURIComponent(anchor)) ? null : `${file} has no heading for #${anchor}`;
}
