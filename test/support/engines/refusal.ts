import { expect } from 'chai';
import type { Answer } from '../../../scripts/support/httpClient.ts';

/**
 * Expects a problem as the contract defines it: `application/problem+json` with every member. A problem of the content
 * also lists faults, each with its path and a message.
 *
 * @param path the path of every fault; absent: any path
 */
export function expectProblem(answer: Answer, status: number | readonly number[], path?: string): void {
  const { headers, text, body } = answer;
  expect(answer.status, text).to.be.oneOf([status].flat());
  expect(answer.status, text).to.be.within(400, 499);
  expect(headers['content-type'], text).to.match(/^application\/problem\+json\b/);
  expect(body, text).to.include({ status: answer.status });
  for (const member of ['type', 'title', 'detail', 'code'])
    expect(body[member], text).to.be.a('string').and.not.equal('');
  if (answer.status !== 400) return;
  expect(body.errors, text).to.be.an('array').and.not.be.empty;
  for (const fault of body.errors as { path: unknown; message: unknown }[]) {
    expect(fault.path, text).to.be.a('string').and.not.equal('');
    expect(fault.message, text).to.be.a('string').and.not.equal('');
    if (path !== undefined) expect(fault.path, text).to.equal(path);
  }
}
