import fc from 'fast-check';
import { badIdText, badNewIdText, goodId, goodStoredId } from './badIds.ts';

/** The position of a field in a request, from the root; `'*'` is one of the lines. */
export type Place = readonly string[];

/** A kind of request: its valid requests, and the invalid values of its fields. */
export interface Form {
  readonly good: fc.Arbitrary<Record<string, unknown>>;
  readonly fields: readonly {
    readonly place: Place;
    readonly bad: fc.Arbitrary<unknown>;
    readonly optional?: boolean;
  }[];
}

/** A request with one fault. */
export interface BadInput {
  readonly input: unknown;
  /** The path that the answer must name. It must name no other. */
  readonly path: string;
}

const LIMIT = Number.MAX_SAFE_INTEGER;

const notText = fc.constantFrom<unknown>(
  null,
  true,
  false,
  0,
  1,
  123,
  1.5,
  1e21,
  Number.NaN,
  [],
  ['a'],
  [['a', 'b']],
  {},
  { sku_id: 'a' },
);
const badId = fc.oneof({ weight: 3, arbitrary: badNewIdText }, { weight: 1, arbitrary: notText });
const badStoredId = fc.oneof({ weight: 3, arbitrary: badIdText }, { weight: 1, arbitrary: notText });
const notNumber = fc.oneof(
  fc.constantFrom<unknown>(null, true, false, '', '5', ' 5', '1e2', 'NaN', [], [5], {}, { value: 5 }),
  fc.string(),
);
const notInteger = fc.oneof(
  fc.constantFrom(1.5, 0.1, -0.5, 1e-7, Number.MIN_VALUE, Number.NaN, Infinity, -Infinity),
  fc.double({ noInteger: true }),
);
const tooLarge = fc.oneof(
  fc.constantFrom(2 ** 53, 2 ** 53 + 2, 2 ** 63, 2 ** 64, 1e21, 1e308),
  fc.double({ min: 2 ** 53, noDefaultInfinity: true }),
);
const badQuantity = fc.oneof(
  fc.constantFrom<unknown>(0, -0, -1, 1_000_001, 2 ** 31, 2 ** 32 + 1, LIMIT),
  fc.integer({ max: 0 }),
  fc.integer({ min: 1_000_001 }),
  ...[notNumber, notInteger, tooLarge],
);
const badStock = fc.oneof(fc.integer({ max: -1 }), ...[notNumber, notInteger, tooLarge]);
const badDelta = fc.oneof(
  fc.constantFrom<unknown>(0, -0),
  tooLarge.map((units) => -units),
  ...[notNumber, notInteger, tooLarge],
);
const badReason = fc.oneof(
  notText,
  fc.constantFrom('x', 'é', '😀').map((unit) => unit.repeat(256)),
  fc.constantFrom('\ud800', 'a\u0000b', '\u0085'),
);
const badMoment = fc.oneof(
  notText,
  fc.constantFrom(
    '',
    'now',
    '2026-11-27',
    '2026-11-27T08:00:00',
    '2026-11-27T08:00:00+01:00',
    '2026-02-30T08:00:00Z',
    '2026-11-27T24:00:01Z',
  ),
  fc.constantFrom(
    '2026-13-01T00:00:00Z',
    '1969-12-31T23:59:59Z',
    '2026-11-27T08:00:00.0001Z',
    '+010000-01-01T00:00:00Z',
    '2026-11-27t08:00:00z',
  ),
);
const badLine = fc.constantFrom<unknown>(null, true, 0, 5, '', 'line', [], [{ sku_id: 'a' }]);

const quantity = fc.oneof(fc.integer({ min: 1, max: 1_000_000 }), fc.constantFrom(1, 1_000_000));

/** Up to three lines; rarely the largest number of lines. */
function linesOf(line: fc.Arbitrary<Record<string, unknown>>): fc.Arbitrary<unknown[]> {
  const many = line.map((one) =>
    Array.from({ length: 500 }, (_, index) => ({ ...one, order_detail_id: `detail ${index}` })),
  );
  return fc.oneof(
    { weight: 200, arbitrary: fc.array(line, { minLength: 1, maxLength: 3 }) },
    { weight: 1, arbitrary: many },
  );
}

function badLinesOf(line: fc.Arbitrary<Record<string, unknown>>): fc.Arbitrary<unknown> {
  return fc.oneof(
    { weight: 30, arbitrary: fc.constantFrom<unknown>([], null, true, 5, 'lines', {}, { length: 1 }) },
    { weight: 10, arbitrary: line.map((one) => ({ 0: one, length: 1 })) },
    { weight: 10, arbitrary: line },
    {
      weight: 1,
      arbitrary: fc
        .tuple(line, fc.constantFrom(501, 502, 600))
        .map(([one, length]) => Array.from({ length }, () => one)),
    },
  );
}

const key = { order_detail_id: goodStoredId, sku_id: goodStoredId };
const orderLine = fc.record({ order_detail_id: goodId, sku_id: goodId, quantity });
const keyLine = fc.record(key);
const keyFields = (bad: fc.Arbitrary<unknown>): Form['fields'] => [
  { place: ['lines', '*'], bad: badLine },
  { place: ['lines', '*', 'order_detail_id'], bad },
  { place: ['lines', '*', 'sku_id'], bad },
];

/** The requests that have a body, by the names of their schemas. */
export const FORMS = {
  deductionRequest: {
    good: fc.record({ order_id: goodId, lines: linesOf(orderLine) }),
    fields: [
      { place: ['order_id'], bad: badId },
      { place: ['lines'], bad: badLinesOf(orderLine) },
      ...keyFields(badId),
      { place: ['lines', '*', 'quantity'], bad: badQuantity },
      { place: ['lines', '*', 'quantity'], bad: badQuantity },
    ],
  },
  lookupRequest: {
    good: fc.record({ lines: linesOf(keyLine) }),
    fields: [{ place: ['lines'], bad: badLinesOf(keyLine) }, ...keyFields(badStoredId)],
  },
  returnRequest: {
    good: fc.record({ return_id: goodId, ...key, quantity }),
    fields: [
      { place: ['return_id'], bad: badId },
      { place: ['order_detail_id'], bad: badStoredId },
      { place: ['sku_id'], bad: badStoredId },
      { place: ['quantity'], bad: badQuantity },
    ],
  },
  cancellationRequest: {
    good: fc.record({ order_id: goodStoredId, lines: linesOf(keyLine) }),
    fields: [
      { place: ['order_id'], bad: badStoredId },
      { place: ['lines'], bad: badLinesOf(keyLine) },
      ...keyFields(badStoredId),
    ],
  },
  saleRequest: {
    good: fc.oneof(
      fc.record({ state: fc.constantFrom('on', 'paused') }),
      fc.record({
        state: fc.constant('on'),
        from: fc.constantFrom(
          ...['2026-11-27T08:00:00Z', '2026-11-27T08:00:00.5Z', '1970-01-01T00:00:00Z', '9999-12-31T23:59:59.999Z'],
        ),
      }),
    ),
    fields: [
      { place: ['state'], bad: fc.oneof(notText, fc.constantFrom('', 'off', 'ON', ' on')) },
      { place: ['from'], bad: badMoment, optional: true },
    ],
  },
  openRequest: {
    good: fc.record({ leaved_amount: fc.oneof(fc.maxSafeNat(), fc.constantFrom(0, LIMIT)) }),
    fields: [{ place: ['leaved_amount'], bad: badStock }],
  },
  adjustmentRequest: {
    good: fc.record(
      {
        adjustment_id: goodId,
        delta: fc.oneof(
          fc.maxSafeInteger().filter((units) => units !== 0),
          fc.constantFrom(1, -1, LIMIT, -LIMIT),
        ),
        reason: fc.oneof(fc.string({ maxLength: 255 }), fc.constant('😀'.repeat(255))),
      },
      { requiredKeys: ['adjustment_id', 'delta'] },
    ),
    fields: [
      { place: ['adjustment_id'], bad: badId },
      { place: ['delta'], bad: badDelta },
      { place: ['reason'], bad: badReason, optional: true },
    ],
  },
} as const satisfies Record<string, Form>;

/** The requests without a body: the parameters in the path and the query string, as texts. */
export const ADDRESS_FORMS = {
  skuParams: { good: fc.record({ sku_id: goodId }), fields: [{ place: ['sku_id'], bad: badId }] },
  deductionParams: {
    good: fc.record({ order_detail_id: goodId }),
    fields: [{ place: ['order_detail_id'], bad: badId }],
  },
  deductionQuery: { good: fc.record({ sku_id: goodStoredId }), fields: [{ place: ['sku_id'], bad: badStoredId }] },
  skuQuery: {
    good: fc.record({ consistency: fc.constantFrom('primary', 'cached') }, { requiredKeys: [] }),
    fields: [
      {
        place: ['consistency'],
        bad: fc.constantFrom<unknown>('', 'Primary', ' cached', 'cached\0', 'primary,cached', null, 5, []),
        optional: true,
      },
    ],
  },
} as const satisfies Record<string, Form>;

const UNKNOWN_NAMES = [
  '__proto__',
  'constructor',
  'prototype',
  'toString',
  'hasOwnProperty',
  'Quantity',
  'quantity ',
  'skuId',
  '0',
  'a/b~1',
  '\ud800',
  '\0',
];

/** Valid requests with one fault added in one place. */
export function badInputs({ good, fields }: Form): fc.Arbitrary<BadInput> {
  const required = fields.filter(({ optional, place }) => optional !== true && place.at(-1) !== '*');
  const places = fields.filter(({ place }) => place.at(-1) !== '*').map(({ place }) => place.slice(0, -1));
  const root = fc.constantFrom<unknown>(null, true, 5, '', 'text', [], [[]]).map((input) => ({ input, path: '' }));
  const wrong = fc
    .tuple(
      good,
      fc.constantFrom(...fields).chain(({ place, bad }) => bad.map((value) => ({ place, value }))),
      fc.nat(),
    )
    .map(([request, { place, value }, which]) =>
      changed(request, place, which, (owner, name) => setOwn(owner, name, value)),
    );
  const missing = fc
    .tuple(good, fc.constantFrom(...(required.length > 0 ? required : fields)), fc.nat())
    .map(([request, { place }, which]) => changed(request, place, which, (owner, name) => void delete owner[name]));
  const name = fc.oneof(
    fc.constantFrom(...UNKNOWN_NAMES),
    fc.string({ minLength: 1 }).map((text) => `unknown ${text}`),
  );
  const unknown = fc
    .tuple(good, fc.constantFrom(...places), name, fc.nat(), fc.jsonValue({ maxDepth: 1 }))
    .map(([request, place, field, which, value]) =>
      changed(request, [...place, field], which, (owner, own) => setOwn(owner, own, value)),
    );
  return fc.oneof(
    { weight: 1, arbitrary: root },
    { weight: 40, arbitrary: wrong },
    ...(required.length > 0 ? [{ weight: 5, arbitrary: missing }] : []),
    { weight: 10, arbitrary: unknown },
  );
}

/** Defines the field instead of assigning it: `__proto__` is then a field like any other, as in `JSON.parse`. */
function setOwn(owner: Record<string, unknown>, name: string, value: unknown): void {
  Object.defineProperty(owner, name, { value, enumerable: true, configurable: true, writable: true });
}

function changed(
  request: Record<string, unknown>,
  place: Place,
  which: number,
  change: (owner: Record<string, unknown>, name: string) => void,
): BadInput {
  const input = structuredClone(request);
  let owner = input;
  let path = '';
  place.forEach((step, depth) => {
    const index = Array.isArray(owner) ? which % owner.length : null;
    const name = index === null ? step : String(index);
    path += index === null ? `${path === '' ? '' : '.'}${step}` : `[${index}]`;
    if (depth === place.length - 1) change(owner, name);
    else owner = owner[name] as Record<string, unknown>;
  });
  return { input, path };
}
