import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { chooseBugs, readBugs } from '../../scripts/planted/bugs.ts';
import { checkPatch, copyCheckout } from '../../scripts/planted/copies.ts';
import type { Copies } from '../../scripts/planted/copies.ts';
import { projectPath } from '../../src/projectPath.ts';

/** Checks that the bugs can still be planted. Whether tests catch them takes minutes: `npm run test:planted`. */
describe('planted bugs', () => {
  const bugs = readBugs();
  let copies: Copies;
  let copy: string;

  before(() => {
    copies = copyCheckout();
    copy = copies.make('copy');
  });
  after(() => copies.remove());

  for (const { name, description, patch, testFiles } of bugs) {
    it(`${name} applies, is described, and names tests that exist`, () => {
      checkPatch(patch, copy);
      expect(description).to.match(/^[A-Z"].*\.$/);
      expect(testFiles.filter((file) => !existsSync(projectPath(file)))).to.deep.equal([]);
    });
  }

  it('are numbered without a gap and selected by name or number', () => {
    expect(bugs.map(({ name }) => Number(name.split('-')[0]))).to.deep.equal(bugs.map((_, index) => index + 1));
    const [first, second] = bugs;
    expect(chooseBugs(bugs, ['01', second?.name ?? ''])).to.deep.equal([first, second]);
    expect(() => chooseBugs(bugs, ['nonsense'])).to.throw('no planted bug is called nonsense');
  });

  it('are rejected when they no longer apply', () => {
    const folder = mkdtempSync(join(tmpdir(), 'stockgate-'));
    const [first] = bugs;
    if (first === undefined) throw new Error('there is no planted bug');
    expect(() => checkPatch(first.patch, folder)).to.throw(`${first.name}.patch does not apply any more`);
    rmSync(folder, { recursive: true });
  });

  it('change the product and the code that reads the output of its commands, and nothing else', () => {
    for (const { name, patch } of bugs) {
      const changed = [...readFileSync(patch, 'utf8').matchAll(/^\+\+\+ b\/(.*)$/gm)].map(([, file]) => file);
      expect(changed, name).to.not.be.empty;
      for (const file of changed) expect(file, name).to.match(/^(src|migrations|scripts\/support)\//);
    }
  });
});
