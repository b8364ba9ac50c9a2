import { configurationPage } from './configurationPage.ts';
import { metricsPage } from './metricsPage.ts';

/** A page that is generated, as it must be. */
export interface GeneratedPage {
  /** Its path in the project. */
  readonly file: string;
  readonly text: string;
}

/** Makes all pages that are generated from the code. */
export function generatedPages(): GeneratedPage[] {
  return [
    { file: 'docs/configuration.md', text: configurationPage() },
    { file: 'docs/metrics.md', text: metricsPage() },
  ];
}
