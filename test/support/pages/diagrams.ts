import { errorText } from '../../../src/core/text/errorText.ts';
import { findingAt } from './finding.ts';
import type { Finding } from './finding.ts';
import type { Page } from './page.ts';

/** Parses a diagram. @throws when it is not valid */
export type ParseDiagram = (text: string) => Promise<unknown>;

/**
 * Loads the parser of Mermaid itself. It cleans texts with DOMPurify, which needs a browser. Nothing is drawn here, so
 * texts are left as they are.
 */
export async function loadDiagramParser(): Promise<ParseDiagram> {
  const { default: purifier } = await import('dompurify');
  Object.assign(purifier, { addHook: () => undefined, sanitize: (text: string) => text });
  const { default: mermaid } = await import('mermaid');
  return (text) => mermaid.parse(text);
}

/** Finds diagrams that Mermaid cannot parse. */
export async function brokenDiagrams(page: Page, parse: ParseDiagram): Promise<Finding[]> {
  const findings: Finding[] = [];
  for (const block of page.blocks.filter(({ language }) => language === 'mermaid')) {
    const fault = await parse(block.text).then(() => null, errorText);
    if (fault !== null) findings.push(findingAt(page, block, fault.replaceAll(/\s+/g, ' ')));
  }
  return findings;
}
