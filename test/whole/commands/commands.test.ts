import { expect } from 'chai';
import { runFile } from '../../support/run/command.ts';

/** Options that contradict each other: none of them may be ignored. */
const RECONCILE_CONTRADICTIONS = [
  ...[['--repair'], ['--json'], ['--sku', 'a']].map((more) => ['--restored', ...more]),
  ...[['--accept'], ['--put-back'], ['--orders', 'a.csv']].map((more) => [
    '--restored',
    '--close',
    '--shard',
    'one',
    ...more,
  ]),
];

const WRONG: Readonly<Record<string, readonly (readonly string[])[]>> = {
  demo: [['--nonsense'], ['--clients', 'many']],
  replay: [
    ['--nonsense'],
    [],
    ['a.csv', '--concurrency', '0'],
    ['a.csv', '--speed', 'fast'],
    ['a.csv', '--url', 'http://127.0.0.1:1'],
    ['a.csv', '--keep', '../a'],
  ],
  local: [['--servers', '0'], ['--workers', '0'], ['elsewhere']],
  migrate: [['down'], ['status', '--timeout'], ['--timeout', 'soon', 'status'], ['precheck-off', '--no'], []],
  reconcile: [
    ['--nonsense'],
    ['--sku'],
    ['--sku', ' padded'],
    ['--timeout', 'soon'],
    ['everything'],
    ...RECONCILE_CONTRADICTIONS,
  ],
  test: [['--nonsense'], ['--jobs', '0']],
  bench: [['--nonsense'], ['--arms', 'nonsense'], ['--arms', 'echo'], ['--rounds', '0'], ['--connections', 'many']],
  check: [['--nonsense']],
  planted: [['--nonsense'], ['--only'], ['--only', 'nonsense']],
};

/** Commands that ship with the product; the others are tooling. */
const SHIPPED = ['migrate', 'reconcile', 'import-stock'];

describe('commands', () => {
  for (const [name, wrong] of Object.entries(WRONG)) {
    const folder = SHIPPED.includes(name) ? 'src/commands' : 'scripts';
    it(`${name}: prints its usage, and rejects unknown and contradictory arguments`, async () => {
      const [help, ...refusals] = await Promise.all(
        [['--help'], ...wrong].map((args) => runFile(`${folder}/${name}.ts`, args)),
      );
      expect(help?.code, help?.stderr).to.equal(0);
      expect(help?.stdout).to.match(/^Usage: npm (run )?[\w:]+ -- /);
      refusals.forEach(({ code, stdout, stderr }, index) => {
        expect(code, `${name} ${wrong[index]?.join(' ')}`).to.be.greaterThan(0);
        expect(stdout).to.equal('');
        expect(stderr).to.match(/^(error: |Usage: )/);
      });
    });
  }
});
