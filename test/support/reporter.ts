import { relative } from 'node:path';
import Mocha from 'mocha';

/** Mocha's own report, closed by the lines that machines read. */
export default class ClosingLine extends Mocha.reporters.Spec {
  constructor(runner: Mocha.Runner, options: Mocha.MochaOptions) {
    super(runner, options);
    const files = new Set<string>();
    runner.on('fail', ({ file, parent }) => files.add(relative(process.cwd(), file ?? parent?.file ?? '.')));
    runner.once('end', () => {
      const { passes = 0, failures = 0 } = this.stats as { passes?: number; failures?: number };
      process.once('exit', () => {
        if (files.size > 0) console.log(`failed in: ${[...files].join(' ')}`);
        console.log(`${passes} passed, ${failures} failed`);
      });
    });
  }
}
