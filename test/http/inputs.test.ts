import { expect } from 'chai';
import fc from 'fast-check';
import * as adminSchemas from '../../src/http/adminSchemas.ts';
import { skuParams } from '../../src/http/schemaParts.ts';
import * as publicSchemas from '../../src/http/schemas.ts';
import { compile } from '../../src/schema/compile.ts';
import { JsonFault, parseJson } from '../../src/schema/strictJson.ts';
import { goodId } from '../support/inputs/badIds.ts';
import { ADDRESS_FORMS, badInputs, FORMS } from '../support/inputs/badInputs.ts';
import { twiceNamed } from '../support/inputs/badJson.ts';

const schemas = { ...publicSchemas, ...adminSchemas, skuParams };

const LONG = process.env['STOCKGATE_TEST_LONG'] === '1';
/** The long form plays all of them. */
const EVERY = LONG ? 1 : 5;

/** The number of bad inputs for each schema in the long form; more than 100,000 in all. */
const BAD: Readonly<Record<keyof typeof FORMS | keyof typeof ADDRESS_FORMS, number>> = {
  deductionRequest: 50_000,
  lookupRequest: 20_000,
  returnRequest: 12_000,
  cancellationRequest: 15_000,
  saleRequest: 6_000,
  openRequest: 8_000,
  adjustmentRequest: 12_000,
  skuParams: 4_000,
  deductionParams: 3_000,
  deductionQuery: 4_000,
  skuQuery: 2_000,
};
const GOOD = 3_000;
const ROOT = 'body';

describe('inputs', () => {
  const forms = Object.entries({ ...FORMS, ...ADDRESS_FORMS }) as [
    keyof typeof BAD,
    (typeof FORMS)[keyof typeof FORMS],
  ][];
  for (const [name, form] of forms) {
    const check = compile(schemas[name], ROOT);
    const bad = BAD[name] / EVERY;

    it(`${name}: refuses ${bad} bad inputs and reports only the wrong field`, () => {
      fc.assert(
        fc.property(badInputs(form), ({ input, path }) => {
          const checked = check(input);
          if (checked.ok) throw new Error(`accepted, although bad at ${path || ROOT}`);
          expect(checked.faults).not.to.be.empty;
          for (const fault of checked.faults) {
            expect(fault.path).to.equal(path || ROOT);
            expect(fault.message).not.to.equal('');
          }
        }),
        { numRuns: bad },
      );
    });

    it(`${name}: accepts good inputs unchanged`, () => {
      fc.assert(
        fc.property(form.good, (input: Record<string, unknown>) => {
          const before = JSON.stringify(input);
          const checked = check(input);
          if (!checked.ok) throw new Error(JSON.stringify(checked.faults));
          expect(checked.value).to.equal(input);
          expect(JSON.stringify(input)).to.equal(before);
        }),
        { numRuns: GOOD / EVERY },
      );
    });
  }

  it('reports every fault, not only the first', () => {
    const line = { order_detail_id: ' ', sku_id: 5, quantity: 0 };
    const checked = compile(schemas.deductionRequest, ROOT)({ lines: [line, line], colour: 'red' });
    if (checked.ok) throw new Error('accepted');
    const fields = ['order_detail_id', 'sku_id', 'quantity'];
    const ofLines = [0, 1].flatMap((index) => fields.map((field) => `lines[${index}].${field}`));
    expect(new Set(checked.faults.map(({ path }) => path))).to.deep.equal(new Set(['order_id', 'colour', ...ofLines]));
  });

  it('accepts 500 lines with ids of 64 bytes', () => {
    const lines = Array.from({ length: 500 }, (_, index) => ({
      order_detail_id: 'é'.repeat(30) + String(index).padStart(4, '0'),
      sku_id: `${'手'.repeat(21)}x`,
      quantity: index % 2 === 0 ? 1 : 1_000_000,
    }));
    const order = { order_id: '😀'.repeat(16), lines };
    expect(compile(schemas.deductionRequest, ROOT)(order)).to.deep.equal({ ok: true, value: order });
  });

  it('checks a body full of faults fast, and bounds the number of reported faults', () => {
    const startedMs = performance.now();
    const checked = compile(
      schemas.deductionRequest,
      ROOT,
    )({ order_id: 'o', lines: Array.from({ length: 100_000 }, () => 0) });
    expect(checked.ok).to.equal(false);
    expect(!checked.ok && checked.faults.length).to.be.within(1, 1_001);
    expect(performance.now() - startedMs).to.be.below(1_000);
  });

  describe('a field named twice', () => {
    it('is found in 20,000 requests, in every spelling', () => {
      const { deductionRequest, adjustmentRequest } = FORMS;
      fc.assert(
        fc.property(
          fc.oneof(deductionRequest.good, adjustmentRequest.good),
          fc.nat(),
          fc.nat(),
          fc.boolean(),
          (request, owner, name, spelled) => {
            const text = twiceNamed(request, owner, name, spelled);
            expect(() => parseJson(text)).to.throw(JsonFault, 'names a field twice');
          },
        ),
        { numRuns: 20_000 / EVERY },
      );
    });

    it('is not reported where there is none: colons and quotes inside texts, deep and empty values', () => {
      const text = fc.oneof(fc.string(), fc.constantFrom(':', '":', '\\":"', '{"a":1}', '\\', '__proto__'), goodId);
      const { tree } = fc.letrec((tie) => ({
        tree: fc.oneof(
          { depthSize: 'small' },
          text,
          fc.integer(),
          fc.constant(null),
          fc.array(tie('tree')),
          fc.dictionary(text, tie('tree')),
        ),
      }));
      fc.assert(
        fc.property(tree, fc.constantFrom(0, 2), (value, indent) => {
          const written = JSON.stringify(value, null, indent);
          expect(parseJson(written)).to.deep.equal(JSON.parse(written));
        }),
        { numRuns: 10_000 / EVERY },
      );
    });

    it('is found 50,000 objects deep', () => {
      const nested = (inner: string): string => '{"a":'.repeat(50_000) + inner + '}'.repeat(50_000);
      const [once, twice] = [nested('{"b":1}'), nested('{"b":1,"\\u0062":1}')];
      expect(parseJson(once)).to.be.an('object');
      expect(() => parseJson(twice)).to.throw(JsonFault, 'names a field twice');
    });
  });
});
