import { writeFileSync } from 'node:fs';
import { relative } from 'node:path';
import Mocha from 'mocha';
import { SUMMARY_VARIABLE } from '../../../scripts/support/testSummary.ts';
import type { FileResult } from '../../../scripts/support/testSummary.ts';

/** Mocha's own report. It also writes the result of each test file to the file that the environment names. */
export default class SummaryReporter extends Mocha.reporters.Spec {
  constructor(runner: Mocha.Runner, options: Mocha.MochaOptions) {
    super(runner, options);
    const byFile = new Map<string, FileResult>();
    const add = ({ file = '' }: { file?: string | undefined }, result: Partial<FileResult>): void => {
      const name = relative('.', file);
      const { passed, failed } = byFile.get(name) ?? { passed: 0, failed: 0 };
      byFile.set(name, { passed: passed + (result.passed ?? 0), failed: failed + (result.failed ?? 0) });
    };
    runner.on('pass', (test) => add(test, { passed: 1 }));
    runner.on('fail', (test) => add(test, { failed: 1 }));
    runner.once('end', () => {
      const summaryFile = process.env[SUMMARY_VARIABLE];
      if (summaryFile !== undefined) writeFileSync(summaryFile, JSON.stringify([...byFile]));
    });
  }
}
