import type { Located, Page } from './page.ts';

/** A fault of a page. */
export interface Finding {
  readonly file: string;
  readonly line: number;
  readonly text: string;
}

/** Makes a finding. @param fault the fault of the text */
export function findingAt({ file }: Pick<Page, 'file'>, { text, line }: Located, fault: string): Finding {
  return { file, line, text: `\`${text.split('\n', 1)[0] ?? ''}\`: ${fault}` };
}

/** One line for each finding, as editors link them. */
export function findingLines(findings: readonly Finding[]): string[] {
  return findings.map(({ file, line, text }) => `${file}:${line}: ${text}`);
}
