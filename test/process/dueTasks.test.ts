import { setTimeout as sleep } from 'node:timers/promises';
import { expect } from 'chai';
import { DueTasks } from '../../src/service/tasks/dueTasks.ts';
import { eventually } from '../support/run/eventually.ts';

const WAIT_MS = 10_000;

describe('tasks that are due', () => {
  it('run again after the pause that they returned, a few at once, and none after the stop', async () => {
    const runs = [0, 0, 0, 0];
    let [running, most] = [0, 0];
    const tasks = runs.map((_, task) => async (): Promise<number> => {
      running += 1;
      most = Math.max(most, running);
      await sleep(20);
      running -= 1;
      runs[task] = (runs[task] ?? 0) + 1;
      return task === 3 ? 60_000 : 0;
    });
    const due = new DueTasks(2);
    due.start(tasks, 50);
    await eventually('all have run', WAIT_MS, () => runs.slice(0, 3).every((count) => count >= 3) && runs[3] === 1);
    await due.stop();
    expect([running, most]).to.deep.equal([0, 2]);
    const after = [...runs];
    await sleep(300);
    expect(runs).to.deep.equal(after);
    expect(runs[3]).to.equal(1);
  });

  it('end at once in a pause', async () => {
    const due = new DueTasks(2);
    let runs = 0;
    due.start([() => Promise.resolve((runs += 1) * 60_000)], 0);
    await eventually('it has run', WAIT_MS, () => runs === 1);
    await due.stop();
    expect(runs).to.equal(1);
  });
});
