import type { FinalState, FlowRow, RecordRow } from '../history.ts';
import {
  cancelled,
  cartSold,
  final,
  flow,
  later,
  line,
  order,
  other,
  returnRow,
  sent,
  short,
  stock,
  story,
  unknown,
  unsold,
} from './storyParts.ts';
import type { Story } from './storyParts.ts';

const TRANSACTION = { transaction_id: '0198c0ffee00aaaaaaaaaaaaaaaaaaaa', coordinator: 3 };
const LATER = { transaction_id: '0198c0ffee01bbbbbbbbbbbbbbbbbbbb', coordinator: 3 };

const both = [line, other];
const first: FlowRow = { ...flow, transaction: TRANSACTION };
const second: FlowRow = { ...flow, ...other, shard: 5, transaction: TRANSACTION };
const record: RecordRow = {
  ...{ transaction_id: TRANSACTION.transaction_id, state: 'committed', order_id: order, isListed: false, shard: 3 },
  lines: [
    { ...line, shard: 3 },
    { ...other, shard: 5 },
  ],
};
const aborted: RecordRow = { ...record, state: 'aborted', lines: [], isListed: true };
const [row, otherRow] = final().stock;
if (row === undefined || otherRow === undefined) throw new Error('a final state has two stock rows');

/** An order of two lines that one transaction sold. */
const sold = (more: Partial<FinalState> = {}): FinalState =>
  final({
    stock: [row, { ...otherRow, leaved_amount: 3 }],
    flows: [first, second],
    records: [record],
    ...more,
  });
const replay = sent({ ...later, lines: both, replayed: true });
const undecided = sent({ ...unknown, lines: both });

/** Broken histories of orders over several shards; the checker must report each. */
export const TRANSACTION_BROKEN: readonly Story[] = [
  story('a committed record of which only one line is stored', 'I7', [undecided], final({ records: [record] })),
  story('a committed record of which no line is stored', 'I7', [undecided], { ...unsold, records: [record] }),
  story('a committed record with another quantity than its flow', 'I7', [sent({ lines: both })], {
    ...sold(),
    records: [
      {
        ...record,
        lines: [
          { ...line, shard: 3, quantity: 1 },
          { ...other, shard: 5 },
        ],
      },
    ],
  }),
  story(
    'a committed record that names another shard than that of its flow',
    'I7',
    [sent({ lines: both })],
    sold({ records: [{ ...record, lines: both.map((one) => ({ ...one, shard: 3 })) }] }),
  ),
  story(
    'a committed record to which no flow belongs',
    'I7',
    [sent({ lines: both })],
    sold({ records: [record, { ...record, transaction_id: LATER.transaction_id }] }),
  ),
  story('a sold line whose transaction has no record', 'I7', [sent({ lines: both })], sold({ records: [] })),
  story('a sold line whose transaction was aborted', 'I7', [sent({ lines: both })], sold({ records: [aborted] })),
  story(
    'a sold line whose record is on another shard than its coordinator',
    'I7',
    [sent({ lines: both })],
    sold({ records: [{ ...record, shard: 5 }] }),
  ),
  story(
    'a sold line that the record of its transaction does not name',
    'I7',
    [sent({ lines: both })],
    sold({ records: [{ ...record, lines: record.lines.slice(0, 1) }] }),
  ),
  story('an order of which one server sold its lines and another did not', 'I7', [undecided], {
    ...sold(),
    flows: [first],
    stock: [row, otherRow],
  }),
  story('a hold of a transaction that stays', 'I7', [undecided], {
    ...unsold,
    ...stock(3, 5, 2),
    flows: [{ ...first, status: 'pending' }],
  }),
  story('an undone hold of a transaction that leaves a row', 'I7', [undecided], {
    ...unsold,
    flows: [{ ...first, status: 'void' }],
  }),
  story('an undone hold of an order without a cart record', 'I7', [undecided], {
    ...unsold,
    flows: [{ ...flow, status: 'void' }],
  }),
  story('an aborted record that nothing will delete', 'I7', [undecided], {
    ...unsold,
    records: [{ ...aborted, isListed: false }],
  }),
  story(
    'a committed record that is listed to be deleted',
    'I7',
    [sent({ lines: both })],
    sold({ records: [{ ...record, isListed: true }] }),
  ),
  story('a committed record of an order that was always refused', 'I4', [sent({ ...short(1, [other]), lines: both })], {
    ...unsold,
    records: [record],
  }),
  story('a hold of an order that was always refused', 'I4', [sent({ ...short(1, [other]), lines: both })], {
    ...unsold,
    ...stock(3, 5, 2),
    flows: [{ ...first, status: 'pending' }],
  }),
];

/** Histories of orders over several shards that break no rule; the checker must accept each. */
export const TRANSACTION_VALID: readonly Story[] = [
  story('an order over two servers and its replay', '', [sent({ lines: both }), replay], sold()),
  story('an in-doubt order over two servers that is stored', '', [undecided], sold()),
  story('an in-doubt order over two servers that was aborted', '', [undecided], { ...unsold, records: [aborted] }),
  story(
    'an order that was aborted, sent again and refused',
    '',
    [
      sent({ ...unknown, verdict: 'undone', code: 'overloaded', lines: [line, { ...other, quantity: 9 }] }),
      sent({ ...later, ...short(5, [other]), lines: [line, { ...other, quantity: 9 }] }),
    ],
    { ...unsold, records: [aborted] },
  ),
  story(
    'an order that was sent again with one more line, so that its record names a line of another transaction',
    '',
    [sent(), sent({ ...later, lines: both, replays: [true, false] })],
    sold({
      flows: [flow, { ...second, transaction: LATER }],
      records: [{ ...record, transaction_id: LATER.transaction_id }],
    }),
  ),
  story(
    'an order over two servers of which one line was cancelled',
    '',
    [sent({ lines: both }), cancelled()],
    sold({
      stock: [
        { ...row, leaved_amount: 5 },
        { ...otherRow, leaved_amount: 3 },
      ],
      flows: [{ ...first, status: 'cancelled', returned: 2 }, second],
      returns: [returnRow(2, '')],
    }),
  ),
  story('an undone hold of the protocol with attempts', '', [undecided], {
    ...unsold,
    flows: [{ ...flow, status: 'void', attempt: 1 }],
    carts: [{ ...cartSold, state: 'aborted' }],
  }),
];
