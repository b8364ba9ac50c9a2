import { expect } from 'chai';
import { readStockFile } from '../../src/commands/import/stockFile.ts';
import { readOrdersFile } from '../../src/commands/reconcile/ordersFile.ts';
import { readOrders } from '../../scripts/replay/orders.ts';
import { runFile } from '../support/run/command.ts';
import { stack } from '../support/run/setup.ts';
import { temporaryFolder } from '../support/run/temporary.ts';
import type { TemporaryFolder } from '../support/run/temporary.ts';

const HEAD = 'sku_id,leaved_amount';

describe('commands that read CSV', () => {
  let folder: TemporaryFolder;
  before(() => {
    folder = temporaryFolder();
  });
  after(() => folder.remove());

  /** Each command with a file that it accepts. */
  const commands: readonly {
    readonly name: string;
    readonly head: string;
    readonly row: string;
    readonly run: (file: string) => ReturnType<typeof runFile>;
  }[] = [
    {
      name: 'import-stock',
      head: HEAD,
      row: 'a,1',
      run: (file) => runFile('src/commands/import-stock.ts', [file], stack().environment),
    },
    {
      name: 'reconcile --restored --orders',
      head: 'order_id,sku_id,order_detail_id,quantity',
      row: 'o,a,d,1',
      run: (file) =>
        runFile(
          'src/commands/reconcile.ts',
          ['--restored', '--put-back', '--accept', '--orders', file],
          stack().environment,
        ),
    },
    {
      name: 'replay',
      head: 'invoiced_at,invoice,stock_code,quantity',
      row: '2010-01-04T09:00:00Z,1001,A,1',
      run: (file) =>
        runFile(
          'scripts/replay.ts',
          [file, '--url', 'http://127.0.0.1:1', '--admin-url', 'http://127.0.0.1:1'],
          stack().environment,
        ),
    },
  ];
  for (const { name, head, row, run } of commands) {
    it(`exit with the line, the value and the expected form of a fault, and write nothing: ${name}`, async () => {
      const column = head.split(',').at(-1) ?? '';
      const count = head.split(',').length;
      const cases: readonly [file: string, message: RegExp][] = [
        [
          folder.write('cells.csv', `${head}\n${row},000\n`),
          new RegExp(`cells\\.csv, line 2: ${count + 1} cells .*"1", "000", expected ${count} as in the head`),
        ],
        [
          folder.write('twice.csv', `${head},${column}\n${row},2\n`),
          new RegExp(`twice\\.csv, line 1: .* names the column "${column}" twice`),
        ],
        [
          folder.write('thousand.csv', `${head}\n${row.replace(/1$/, '1.0')}\n`),
          new RegExp(`thousand\\.csv, line 2: ${column} is "1\\.0", it must be a whole number`),
        ],
        [folder.write('none.csv', `${head}\n`), /none\.csv, line 1: no row follows the head/],
        [folder.path, /: is a directory, expected a CSV file in UTF-8/],
        [`${folder.path}/missing.csv`, /missing\.csv: there is no such file, expected a CSV file in UTF-8/],
      ];
      for (const [file, message] of cases) {
        const { code, stdout, stderr } = await run(file);
        expect([code, stdout], stderr).to.deep.equal([1, '']);
        expect(stderr).to.match(message);
      }
    }).timeout(120_000);

    it(`escape invisible characters: ${name}`, async () => {
      const { code, stderr } = await run(
        folder.write('invisible.csv', [head, row, row.replace(/[aA](?=,)/, 'a\u00a0')].join('\n')),
      );
      expect([code, stderr]).to.satisfy(
        ([, text]: [number, string]) => code === 1 && /line 3: (sku_id|stock_code) is "a\\u00a0", it must/.test(text),
      );
    });
  }

  const readers: readonly {
    readonly name: string;
    readonly head: string;
    readonly row: (id: string) => string;
    readonly read: (file: string) => Promise<unknown>;
  }[] = [
    { name: 'import-stock', head: HEAD, row: (id) => `${id},1`, read: readStockFile },
    {
      name: 'reconcile --restored --orders',
      head: 'order_id,sku_id,order_detail_id,quantity',
      row: (id) => `o,${id},d,1`,
      read: readOrdersFile,
    },
    {
      name: 'replay',
      head: 'invoiced_at,invoice,stock_code,quantity',
      row: (id) => `2010-01-04T09:00:00Z,1001,${id},1`,
      read: readOrders,
    },
  ];
  for (const { name, head, row, read: readFile } of readers) {
    it(`warn once about ids with invisible characters, and list at most ten: ${name}`, async () => {
      const warnings: string[] = [];
      const { error } = console;
      console.error = (line: string) => warnings.push(line);
      try {
        await readFile(
          folder.write(
            'warned.csv',
            [head, ...Array.from({ length: 12 }, (_, number) => row(`a\u00ad${number}`)), row('plain')].join('\n'),
          ),
        );
      } finally {
        console.error = error;
      }
      expect(warnings).to.have.length(1);
      const [first = '', ...lines] = (warnings[0] ?? '').split('\n');
      expect(first).to.match(/^warning: .*warned\.csv: 12 ids have characters that cannot be seen/);
      const column = name === 'replay' ? 'stock_code' : 'sku_id';
      expect(lines).to.deep.equal([
        ...Array.from({ length: 10 }, (_, number) => `  line ${number + 2}, ${column} "a\\u00ad${number}"`),
        '  and 2 more',
      ]);
    });
  }
});
