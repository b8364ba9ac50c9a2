import type { Page } from './page.ts';

/** The names that a page does not have in inline code. A flag or a label may stand behind a name. */
export function missingNames({ spans }: Page, names: readonly string[]): string[] {
  const named = new Set(spans.map(({ text }) => text));
  return names.filter((name) => !named.has(name));
}
