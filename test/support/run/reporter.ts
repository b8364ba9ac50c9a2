import Mocha from 'mocha';

/** Mocha's own report, followed by the one line that programs read. */
export default class ClosingLine extends Mocha.reporters.Spec {
  constructor(runner: Mocha.Runner, options: Mocha.MochaOptions) {
    super(runner, options);
    runner.once('end', () => {
      const { passes = 0, failures = 0 } = this.stats as { passes?: number; failures?: number };
      process.once('exit', () => console.log(`${passes} passed, ${failures} failed`));
    });
  }
}
