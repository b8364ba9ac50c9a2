import { readFileSync } from 'node:fs';

/** The environment variable with the path of the file to which a run of tests writes its results. */
export const SUMMARY_VARIABLE = 'STOCKGATE_TEST_SUMMARY';

/** The numbers of tests of one file. A failed hook counts as a failed test. */
export interface FileResult {
  readonly passed: number;
  readonly failed: number;
}

/** The results of a run by test file, with paths from the root of the checkout. */
export type TestSummary = ReadonlyMap<string, FileResult>;

/** Reads the results of a run. @returns null when the run ended before it wrote them */
export function readSummary(summaryFile: string): TestSummary | null {
  try {
    return new Map(JSON.parse(readFileSync(summaryFile, 'utf8')) as [string, FileResult][]);
  } catch {
    return null;
  }
}

/** The files with a failed test. */
export function failedFiles(summary: TestSummary): string[] {
  return [...summary].filter(([, { failed }]) => failed > 0).map(([file]) => file);
}

/** Whether there are failures, each in a file. A failure outside every file is not of a test, so it is final. */
export function canRepeat(summary: TestSummary): boolean {
  const failed = failedFiles(summary);
  return failed.length > 0 && !failed.includes('');
}

/** The last line of a run, which other programs read. */
export function closingLine(summary: TestSummary): string {
  const sum = (of: keyof FileResult): number => [...summary.values()].reduce((total, result) => total + result[of], 0);
  return `${sum('passed')} passed, ${sum('failed')} failed`;
}
