import { Command, InvalidArgumentError } from 'commander';
import { chooseBugs, readBugs } from './planted/bugs.ts';
import type { PlantedBug } from './planted/bugs.ts';
import { applyPatch, checkPatch, copyCheckout } from './planted/copies.ts';
import type { Copies } from './planted/copies.ts';
import { SOUND_LIMIT_MS, TestRunner } from './planted/tests.ts';
import type { TestRun } from './planted/tests.ts';
import { inParallel } from './support/inParallel.ts';
import { stopOnSignalOrParentExit } from './support/lifetime.ts';
import { progressBar } from '../src/commands/support/progress.ts';
import { exitAfterFlush, fail, printTable } from '../src/commands/support/report.ts';
import { wholeNumber } from '../src/commands/support/wholeNumber.ts';
import { errorText } from '../src/core/text/errorText.ts';

const program = new Command('npm run test:planted --')
  .description('Tests the tests: plants each bug in a copy of this checkout, and expects that a test fails.')
  .option('--only <bugs...>', 'only these, by name or number')
  .option('--part <which>', 'only a part of them, for instance `2/3`: every third bug, from the second on', part)

  .option('--jobs <count>', 'how many at a time, each with servers of its own', wholeNumber(1), 3)
  .option('--skip-sound', 'do not run the tests without bugs first, for instance because they have just passed', false)

  .option('--second-run', 'run the tests again for a bug that they did not catch', false)
  .option('--verbose', 'print the output of the tests for each bug', false)
  .parse();

const {
  only = [],
  part: ofAll,
  jobs,
  skipSound,
  secondRun,
  verbose,
} = program.opts<{
  only?: string[];
  part?: Part;
  jobs: number;
  skipSound: boolean;
  secondRun: boolean;
  verbose: boolean;
}>();
const bugs = chosen();
const runner = new TestRunner();

interface Tried {
  readonly bug: PlantedBug;
  readonly seconds: number;
  readonly verdict: string;
}

const CAUGHT = 'caught';

/** Only a failed test counts: a copy that cannot be loaded shows nothing about the tests. */
function verdictOf({ passed, failed, code, output }: TestRun): string {
  if (passed === null || failed === null) return 'NO RESULT: the tests did not finish';
  if (/\b(ReferenceError|SyntaxError): |Build failed with/.test(output)) return 'NO RESULT: the patched code is broken';
  if (passed + failed === 0) return 'NO RESULT: no test has such a title';
  return failed > 0 && code !== 0 ? CAUGHT : 'NOT CAUGHT';
}

async function tryBug(bug: PlantedBug, copies: Copies): Promise<Tried> {
  const startedMs = performance.now();
  const copy = copies.make(bug.name);
  applyPatch(bug.patch, copy);
  let run = await runner.run(copy, bug.testFiles, bug.grep);
  // Some bugs need a race, which a busy machine may miss once.
  if (secondRun && verdictOf(run) !== CAUGHT) run = await runner.run(copy, bug.testFiles, bug.grep);
  copies.drop(bug.name);
  const decision = verdictOf(run);
  if (verbose || decision !== CAUGHT) console.error(`\n${bug.name}: ${decision}\n${run.output}`);
  return { bug, seconds: (performance.now() - startedMs) / 1_000, verdict: decision };
}

interface Part {
  readonly which: number;
  readonly parts: number;
}

function part(text: string): Part {
  const [which = 0, parts = 0] = (/^(\d+)\/(\d+)$/.exec(text) ?? []).slice(1).map(Number);
  if (which < 1 || which > parts) throw new InvalidArgumentError('It must be like 2/3.');
  return { which, parts };
}

function chosen(): readonly PlantedBug[] {
  try {
    const chosenBugs = chooseBugs(readBugs(), only);
    return ofAll === undefined ? chosenBugs : chosenBugs.filter((_, index) => index % ofAll.parts === ofAll.which - 1);
  } catch (error) {
    return program.error(`error: ${errorText(error)}`);
  }
}

/**
 * @throws unless all patches apply and all tests that must notice them pass without bugs: otherwise a failed test would
 *   show nothing
 */
async function passWithoutBugs(copies: Copies): Promise<void> {
  const copy = copies.make('sound');
  for (const { patch } of bugs) checkPatch(patch, copy);
  if (skipSound) return copies.drop('sound');
  const testFiles = [...new Set(bugs.flatMap((bug) => bug.testFiles))].sort();
  console.error(`without any bug: ${testFiles.join(' ')} …`);
  const { code, passed, failed, seconds, output } = await runner.run(copy, testFiles, null, SOUND_LIMIT_MS);
  if (code !== 0 || passed === 0 || failed !== 0) throw new Error(`${output}\nthe tests fail without any bug`);
  console.error(`without any bug: ${passed} passed, ${seconds.toFixed(0)} s`);
  copies.drop('sound');
}

function report(tried: readonly Tried[]): void {
  printTable(
    ['bug', 'caught by', 'seconds', 'verdict'],
    [...tried]
      .sort((a, b) => bugs.indexOf(a.bug) - bugs.indexOf(b.bug))
      .map(({ bug, seconds, verdict }) => [
        bug.name,
        bug.testFiles.join(' ').replaceAll(/test\/|\.test\.ts/g, ''),
        seconds.toFixed(1),
        verdict,
      ]),
  );
  const sorted = tried.map(({ seconds }) => seconds).sort((a, b) => a - b);
  const caught = tried.filter(({ verdict }) => verdict === CAUGHT);
  const medianSeconds = sorted[Math.floor(sorted.length / 2)] ?? 0;
  console.log(`${caught.length} of ${tried.length} bugs caught, median ${medianSeconds.toFixed(1)} s`);
  for (const { bug, verdict } of tried) if (verdict !== CAUGHT) fail(`${bug.name}: ${verdict}. ${bug.description}`);
}

async function main(): Promise<void> {
  const copies = copyCheckout();
  process.on('exit', () => copies.remove());
  stopOnSignalOrParentExit(() => runner.stop());
  await passWithoutBugs(copies);
  const progress = progressBar('planting', bugs.length, 'bugs');
  const tried: Tried[] = [];
  await inParallel(bugs, jobs, async (bug) => {
    progress.add(0, bug.name);
    tried.push(await tryBug(bug, copies));
    progress.add(1);
  });
  progress.stop();
  report(tried);
}

main()
  .catch((error: unknown) => fail(errorText(error)))
  .finally(exitAfterFlush);
