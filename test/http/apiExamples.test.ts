import { expect } from 'chai';
import { PROBLEMS } from '../../src/http/errors.ts';
import type { ProblemCode } from '../../src/http/errors.ts';
import { describe as describeApi } from '../../src/http/openapi.ts';
import { problemAnswer } from '../../src/http/schemas.ts';
import { compile } from '../../src/schema/compile.ts';
import { ADMIN_ROUTES, closed, PUBLIC_ROUTES } from '../support/gateway/contract.ts';

// eslint-disable-next-line @typescript-eslint/no-explicit-any
type Json = any;

const CALLS = [...PUBLIC_ROUTES, ...ADMIN_ROUTES];
const checkProblem = compile(closed(problemAnswer), 'problem');

describe('the examples of the API', () => {
  const description: Json = describeApi([
    { tag: 'public', routes: PUBLIC_ROUTES },
    { tag: 'admin', routes: ADMIN_ROUTES },
  ]);
  const described = ({ method, path }: (typeof CALLS)[number]): Json =>
    description.paths[path.replaceAll(/:(\w+)/g, '{$1}')][method];

  /** An example itself, or the one that a reference names. */
  const resolved = (example: Json): Json =>
    example.$ref === undefined
      ? example
      : description.components.examples[String(example.$ref).split('/').at(-1) ?? ''];

  for (const call of CALLS) {
    describe(call.operationId, () => {
      it('has a body that its own schema accepts', () => {
        const content = described(call).requestBody?.content['application/json'];
        expect(content?.example).to.deep.equal(call.examples.body);
        expect(call.examples.body === undefined).to.equal(call.body === undefined);
        if (call.body !== undefined)
          expect(compile(call.body, 'body')(content.example)).to.deep.equal({ ok: true, value: content.example });
      });

      it('has an answer for each status of success, which its own schema accepts', () => {
        for (const [status, schema] of Object.entries(call.answers)) {
          const [content] = Object.values<Json>(described(call).responses[status].content);
          expect(content.example, status).to.not.equal(undefined);
          if (schema === 'text') expect(content.example).to.be.a('string').and.not.equal('');
          else {
            // The description of the API is an open object, whose members no schema names.
            const strict = call.operationId === 'getOpenApi' ? schema : closed(schema);
            expect(compile(strict, 'answer')(content.example), status).to.deep.equal({
              ok: true,
              value: content.example,
            });
          }
        }
        expect(Object.keys(call.examples.answers)).to.deep.equal(Object.keys(call.answers));
      });

      it('has each problem that it declares, with its status and title', () => {
        const responses = Object.entries<Json>(described(call).responses).filter(([status]) => Number(status) >= 400);
        const codes: string[] = [];
        for (const [status, response] of responses) {
          const { examples } = response.content['application/problem+json'];
          for (const [code, example] of Object.entries<Json>(examples)) {
            const { value } = resolved(example);
            expect(checkProblem(value), code).to.deep.equal({ ok: true, value });
            const { title } = PROBLEMS[code as ProblemCode];
            expect(value).to.include({ code, title, status: Number(status), type: `urn:stockgate:problem:${code}` });
            expect(response.description).to.contain(`\`${code}\`: ${title}`);
            codes.push(code);
          }
        }
        expect(codes).to.include.members([...call.problems]);
        expect(Object.keys(call.examples.problems ?? {}).filter((code) => !codes.includes(code))).to.deep.equal([]);
        expect(codes.length > 0).to.equal(call.operationId !== 'getHealth');
      });
    });
  }

  it('have a problem for each code', () => {
    expect(Object.keys(description.components.examples as object)).to.deep.equal(Object.keys(PROBLEMS));
    for (const { value } of Object.values<Json>(description.components.examples))
      expect(checkProblem(value)).to.deep.equal({ ok: true, value });
  });
});
