import { parseRedisAddress } from '../src/redis/address.ts';
import { expect } from 'chai';
import { loadConfig } from '../src/config.ts';
import type { Config } from '../src/config.ts';
import { ConfigError } from '../src/configError.ts';
import { loadShards } from '../src/shardsFile.ts';
import type { ShardsFile } from '../src/shardsFile.ts';
import { quoted } from '../src/core/visible.ts';
import { projectPath } from '../scripts/support/paths.ts';
import { temporaryFolder } from './support/temporary.ts';
import type { TemporaryFolder } from './support/temporary.ts';

const PASSWORD = 'pass-word-of-a-shard';
const TOKEN = 'token-of-a-shop';

function validFile(): ShardsFile {
  return {
    initialShards: 4,
    shards: Array.from({ length: 4 }, (_, shard) => ({
      name: `shard-${shard}`,
      primary: {
        host: 'db.example',
        port: 3306,
        schema: `stock_${shard}`,
        user: 'shop',
        passwordVariable: 'SHOP_PASSWORD',
      },
      pool: { connections: 8, waiting: 100 },
    })),
  };
}

const REPLICA = { host: 'db.example', port: 3307, user: 'reader', passwordVariable: 'SHOP_PASSWORD' };

/** The file as somebody might write it who is not held by our types. */
// eslint-disable-next-line @typescript-eslint/no-explicit-any
type Draft = any;

describe('configuration', () => {
  let folder: TemporaryFolder;
  let file: string;

  before(() => {
    folder = temporaryFolder();
    file = folder.write('shards.json', JSON.stringify(validFile()));
  });
  after(() => folder.remove());

  const environment = (more: NodeJS.ProcessEnv = {}): NodeJS.ProcessEnv => ({
    STOCKGATE_SHARDS: file,
    SHOP_PASSWORD: PASSWORD,
    ...more,
  });
  const load = (more: NodeJS.ProcessEnv = {}): Promise<Config> => loadConfig(environment(more));
  const faultOf = async (loading: Promise<unknown>): Promise<string> => {
    const error: unknown = await loading.then(
      () => 'no fault was found',
      (thrown: unknown) => thrown,
    );
    expect(error).to.be.instanceOf(ConfigError);
    const { message } = error as ConfigError;
    expect(message).not.to.contain(PASSWORD).and.not.to.contain(TOKEN);
    return message;
  };

  describe('of shards', () => {
    const faults: readonly [what: string, change: (draft: Draft) => void, fault: string][] = [
      [
        'a number written as text',
        (draft) => (draft.shards[3].primary.port = '3306'),
        'shards[3].primary.port: must be a whole number from 1 to 65535, found "3306"',
      ],
      [
        'a port that is none',
        (draft) => (draft.shards[3].primary.port = 70_000),
        'shards[3].primary.port: must be a whole number from 1 to 65535, found 70000',
      ],
      [
        'a pool without connections',
        (draft) => (draft.shards[0].pool.connections = 0),
        'shards[0].pool.connections: must be a whole number from 1 to 1000, found 0',
      ],
      ['an unknown field', (draft) => (draft.shards[1].weight = 2), 'shards[1].weight: is not a known field'],
      ['a missing field', (draft) => delete draft.shards[2].pool.waiting, 'shards[2].pool.waiting: is required'],
      [
        'a password in the file',
        (draft) => (draft.shards[0].primary.password = PASSWORD),
        'shards[0].primary.password: is not a known field',
      ],
      [
        'a schema name with a quote',
        (draft) => (draft.shards[0].primary.schema = 'a`b'),
        'shards[0].primary.schema: must be 1 to 64 letters, digits or underscores, found "a`b"',
      ],
      ['no shards', (draft) => (draft.shards = []), 'shards: must be a list of 1 to 1024 items, found 0 items'],
      ['a name twice', (draft) => (draft.shards[2].name = 'shard-0'), 'shards[2].name: is the same as shards[0].name'],
      [
        'two shards in one schema',
        (draft) => Object.assign(draft.shards[3].primary, { host: 'DB.example', schema: 'STOCK_1' }),
        'shards[3].primary.schema: is the same as shards[1].primary.schema',
      ],
      [
        'a password that is not in the environment',
        (draft) => (draft.shards[1].primary.passwordVariable = 'NOT_THERE'),
        'shards[1].primary.passwordVariable: NOT_THERE is not set in the environment',
      ],
      [
        'a replica without a port',
        (draft) => (draft.shards[1].replicas = [{ ...REPLICA, port: undefined }]),
        'shards[1].replicas[0].port: is required',
      ],
      [
        'a password of a replica in the file',
        (draft) => (draft.shards[1].replicas = [{ ...REPLICA, password: PASSWORD }]),
        'shards[1].replicas[0].password: is not a known field',
      ],
      [
        'a replica that is the primary',
        (draft) => (draft.shards[1].replicas = [{ ...REPLICA, port: 3306 }]),
        'shards[1].replicas[0]: is the same as shards[1].primary.schema',
      ],
      [
        'a replica named twice',
        (draft) => (draft.shards[1].replicas = [REPLICA, { ...REPLICA, schema: 'STOCK_1' }]),
        'shards[1].replicas[1]: is the same as shards[1].replicas[0]',
      ],
      [
        'a password of a replica that is not in the environment',
        (draft) => (draft.shards[1].replicas = [{ ...REPLICA, passwordVariable: 'NOT_THERE' }]),
        'shards[1].replicas[0].passwordVariable: NOT_THERE is not set in the environment',
      ],
      [
        'more initial shards than shards',
        (draft) => (draft.initialShards = 5),
        'initialShards: must not be above the number of shards, 4',
      ],
      [
        'no initial shards',
        (draft) => (draft.initialShards = 0),
        'initialShards: must be a whole number from 1 to 1024, found 0',
      ],
    ];
    for (const [what, change, fault] of faults) {
      it(`names the path of ${what}`, async () => {
        const draft = validFile();
        change(draft);
        const wrong = folder.write('wrong.json', JSON.stringify(draft));
        expect(await faultOf(load({ STOCKGATE_SHARDS: wrong }))).to.contain(`${wrong} is wrong:\n  ${fault}`);
      });
    }

    it('names every fault at once', async () => {
      const draft: Draft = validFile();
      draft.shards[0].name = 'shard-1';
      draft.initialShards = 9;
      const message = await faultOf(load({ STOCKGATE_SHARDS: folder.write('wrong.json', JSON.stringify(draft)) }));
      expect(message.split('\n').slice(1)).to.deep.equal([
        '  initialShards: must not be above the number of shards, 4',
        '  shards[1].name: is the same as shards[0].name',
      ]);
    });

    it('rounds no number of a JSON file, and keeps none of two members of one name', async () => {
      const whole = JSON.stringify(validFile());
      const at = (text: string, other: string): Promise<string> => {
        expect(whole).to.contain(text);
        return faultOf(loadShards(folder.write('exact.json', whole.replace(text, other)), environment()));
      };
      for (const number of ['3306.0000000000000001', '3305.9999999999999999']) {
        const fault = `shards[0].primary.port: must be a whole number from 1 to 65535, found ${number}`;
        expect(await at('"port":3306', `"port":${number}`)).to.contain(fault);
      }
      for (const member of ['"initialShards":4', '"port":3306']) {
        const again = `${member},${member}`;
        expect(await at(member, again)).to.contain('has an object that names a field twice');
      }
      const written = whole
        .replace('"initialShards":4', '"initialShards":0.4e1')
        .replace('"port":3306', '"port":3306.0');
      const same = folder.write('exact.json', written);
      expect(await loadShards(same, environment())).to.deep.equal(await loadShards(file, environment()));
    });

    it('reads a JSON file in UTF-8 only', async () => {
      const bytes = Buffer.from(JSON.stringify(validFile()).replace('db.example', 'caf\xe9'), 'latin1');
      expect(await faultOf(loadShards(folder.write('latin.json', bytes), environment()))).to.match(
        /\(file\): .*utf-8/i,
      );
    });

    it('says that a file is missing, is not JSON, or exports nothing', async () => {
      const at = (path: string): Promise<string> => faultOf(loadShards(path, environment()));
      expect(await at('/nowhere/shards.json')).to.match(/^\/nowhere\/shards\.json is wrong:\n {2}\(file\): ENOENT/);
      expect(await at('/nowhere/shards.ts')).to.match(/\(file\): Cannot find module/);
      expect(await at(folder.write('half.json', '{ "shards": ['))).to.contain('(file): ');
      expect(await at(folder.write('named.ts', 'export const shards = [];'))).to.contain(
        'default export: must be an object with initialShards and shards, found nothing',
      );
    });

    it('reads TypeScript and JSON alike', async () => {
      const typed = folder.write('shards.ts', `export default ${JSON.stringify(validFile())} satisfies object;`);
      const fromJson = await loadShards(file, environment());
      expect(await loadShards(typed, environment())).to.deep.equal(fromJson);
      expect(fromJson.shards[3]).to.deep.equal({
        name: 'shard-3',
        address: { host: 'db.example', port: 3306, schema: 'stock_3', user: 'shop', password: PASSWORD },
        replicas: [],
        connections_max: 8,
        waiting_max: 100,
      });
    });

    it('takes the schema of a replica from its primary, unless it has a name of its own', async () => {
      const replicas = [REPLICA, { ...REPLICA, host: 'far.example', schema: 'copy' }];
      const content = {
        ...validFile(),
        shards: validFile()
          .shards.map((shard) => ({ ...shard, replicas }))
          .slice(0, 1),
        initialShards: 1,
      };
      const { shards } = await loadShards(folder.write('replicas.json', JSON.stringify(content)), environment());
      const reader = { port: 3307, user: 'reader', password: PASSWORD };
      expect(shards[0]?.replicas).to.deep.equal([
        { host: 'db.example', schema: 'stock_0', ...reader },
        { host: 'far.example', schema: 'copy', ...reader },
      ]);
    });

    it('finds nothing wrong with the file of this repository: sixteen shards, each in its own schema', async () => {
      const { initialShards, shards } = await loadShards(projectPath('shards.config.ts'), {
        STOCKGATE_MYSQL_PASSWORD: '',
      });
      expect([initialShards, shards.length, new Set(shards.map(({ address }) => address.schema)).size]).to.deep.equal([
        16, 16, 16,
      ]);
    });
  });

  describe('of the gateway', () => {
    it('has defaults for everything, and takes an empty variable for an absent one', async () => {
      const { shards, ...rest } = await load({ PORT: '', HOST: '', STOCKGATE_REQUEST_MS: ' ', STOCKGATE_TOKENS: '' });
      expect(shards).to.have.length(4);
      expect(rest).to.deep.equal({
        public: { host: '127.0.0.1', port: 8080, tokens: [] },
        admin: { host: '127.0.0.1', port: 8081, tokens: [] },
        ...{
          workers: 1,
          engine: 'batching',
          batchLinesMax: 512,
          requestMs: 3_000,
          statementMs: 1_000,
          drainMs: 5_000,
          leaveMs: 0,
        },
        ...{
          relaxedAllowed: false,
          hotLinesPerSecond: 5_000,
          logLevel: 'info',
          initialShards: 4,
          tiers: [],
          rate: null,
          redis: null,
          traces: null,
          cachedAgeMs: 1_000,
        },
      });
    });

    it('reads numbers and switches from texts', async () => {
      const config = await load({
        PORT: '0',
        ADMIN_PORT: '0',
        STOCKGATE_REQUEST_MS: '2000',
        STOCKGATE_RELAXED: 'true',
        ADMIN_HOST: '::1',
      });
      expect([config.public.port, config.requestMs, config.relaxedAllowed, config.admin.host]).to.deep.equal([
        0,
        2_000,
        true,
        '::1',
      ]);
    });

    it("gives a caller a second's requests at once unless told otherwise", async () => {
      expect((await load({ STOCKGATE_RATE_PER_SECOND: '5' })).rate).to.deep.equal({ perSecond: 5, burst: 5 });
      expect((await load({ STOCKGATE_RATE_PER_SECOND: '5', STOCKGATE_RATE_BURST: '2' })).rate).to.deep.equal({
        perSecond: 5,
        burst: 2,
      });
    });

    it('finds the collector of traces under its address or the whole one', async () => {
      expect((await load({ OTEL_EXPORTER_OTLP_ENDPOINT: 'http://c:4318/' })).traces).to.deep.equal({
        url: 'http://c:4318/v1/traces',
        share: 1,
      });
      const both = {
        OTEL_EXPORTER_OTLP_ENDPOINT: 'http://c:4318',
        OTEL_EXPORTER_OTLP_TRACES_ENDPOINT: 'https://d/t',
        OTEL_TRACES_SAMPLER_ARG: '0.01',
      };
      expect((await load(both)).traces).to.deep.equal({ url: 'https://d/t', share: 0.01 });
    });

    it('takes what was said on the command line before the environment', async () => {
      const asked = environment({ STOCKGATE_WORKERS: '2' });
      expect([
        (await loadConfig(asked)).workers,
        (await loadConfig(asked, { STOCKGATE_WORKERS: '3' })).workers,
      ]).to.deep.equal([2, 3]);
      for (const said of ['0', 'NaN', '1.5', '1e0', '0.99999999999999999', '']) {
        const fault = `STOCKGATE_WORKERS: must be a whole number from 1 to 64, in digits, found "${said}"`;
        expect(await faultOf(loadConfig(asked, { STOCKGATE_WORKERS: said }))).to.contain(fault);
      }
    });

    const wholeNumberFault = (name: string, text: string, min: number, max: number): [NodeJS.ProcessEnv, string] => [
      { [name]: text },
      `${name}: must be a whole number from ${min} to ${max}, in digits, found ${quoted(text)}`,
    ];
    const NOT_WHOLE = ['0.99999999999999999', '1e3', '0x50', ' 80', '80\n', '+80', '80.0', '8\u00a00', '１'];
    const NO_SHARE = ['1.5', '1.00000000000000001', '1e0', '.5', '-0.1'];
    const shareFault = (text: string): [NodeJS.ProcessEnv, string] => [
      { OTEL_TRACES_SAMPLER_ARG: text },
      `OTEL_TRACES_SAMPLER_ARG: must be a decimal number from 0 to 1 with at most 15 digits, found "${text}"`,
    ];
    const faults: readonly [NodeJS.ProcessEnv, string][] = [
      wholeNumberFault('PORT', '80a', 0, 65535),
      wholeNumberFault('PORT', '80.5', 0, 65535),
      ...NOT_WHOLE.map((text) => wholeNumberFault('STOCKGATE_WORKERS', text, 1, 64)),
      wholeNumberFault('STOCKGATE_DRAIN_MS', '100.00000000000000001', 10, 600_000),
      wholeNumberFault('STOCKGATE_WORKERS', '0', 1, 64),
      wholeNumberFault('STOCKGATE_WORKERS', '65', 1, 64),
      wholeNumberFault('STOCKGATE_BATCH_LINES_MAX', '0', 1, 512),
      wholeNumberFault('STOCKGATE_BATCH_LINES_MAX', '513', 1, 512),
      wholeNumberFault('ADMIN_PORT', '65536', 0, 65535),
      wholeNumberFault('STOCKGATE_DRAIN_MS', '-1', 10, 600000),
      wholeNumberFault('STOCKGATE_HOT_LINES_PER_SECOND', '0', 1, 1000000),
      [{ STOCKGATE_RELAXED: 'yes' }, 'STOCKGATE_RELAXED: must be true or false, found "yes"'],
      [
        { STOCKGATE_LOG_LEVEL: 'loud' },
        'STOCKGATE_LOG_LEVEL: must be "fatal", "error", "warn", "info", "debug" or "silent", found "loud"',
      ],
      [{ PORT: '9000', ADMIN_PORT: '9000' }, 'ADMIN_PORT: must differ from PORT'],
      [{ STOCKGATE_STATEMENT_MS: '3001' }, 'STOCKGATE_STATEMENT_MS: must not be above STOCKGATE_REQUEST_MS'],
      [{ HOST: '0.0.0.0' }, 'HOST: must be a loopback address while no token is configured, not 0.0.0.0'],
      [{ ADMIN_HOST: '10.0.0.1', STOCKGATE_TOKENS: TOKEN }, 'ADMIN_HOST: must be a loopback address while no token'],
      [{ STOCKGATE_TOKENS: ' , ' }, 'STOCKGATE_TOKENS: holds no token'],
      [{ STOCKGATE_TOKENS: `${TOKEN} ${TOKEN}` }, 'STOCKGATE_TOKENS: holds a token that no header can carry'],
      [
        { STOCKGATE_TOKENS: TOKEN, STOCKGATE_TOKENS_FILE: 'x' },
        'STOCKGATE_TOKENS: must not be set together with STOCKGATE_TOKENS_FILE',
      ],
      [{ STOCKGATE_ADMIN_TOKENS_FILE: '/nowhere' }, 'STOCKGATE_ADMIN_TOKENS_FILE: ENOENT'],
      wholeNumberFault('STOCKGATE_RATE_PER_SECOND', '0', 1, 1000000),
      wholeNumberFault('STOCKGATE_RATE_BURST', '0', 1, 1000000),
      ...NO_SHARE.map(shareFault),
      [
        { OTEL_EXPORTER_OTLP_ENDPOINT: 'collector:4318' },
        'OTEL_EXPORTER_OTLP_ENDPOINT: must be an address that begins with http',
      ],
      [
        { OTEL_EXPORTER_OTLP_TRACES_ENDPOINT: 'nowhere' },
        'OTEL_EXPORTER_OTLP_TRACES_ENDPOINT: must be an address that begins with http',
      ],
    ];
    for (const [more, fault] of faults) {
      it(`is refused with ${Object.entries(more)
        .map(([name, value]) => `${name}=${value}`)
        .join(' ')}`, async () => {
        const lines = (await faultOf(load(more))).split('\n');
        expect(lines).to.have.length(2);
        expect(lines[0]).to.equal('the environment is wrong:');
        expect(lines[1]).to.contain(`  ${fault}`);
      });
    }

    it('takes tokens from a list or from a file, for each listener its own', async () => {
      const tokens = folder.write('tokens', `${TOKEN}\r\n\n  another,one\n`);
      const config = await load({ STOCKGATE_TOKENS: ` ${TOKEN} ,second`, STOCKGATE_ADMIN_TOKENS_FILE: tokens });
      expect(config.public.tokens).to.deep.equal([TOKEN, 'second']);
      expect(config.admin.tokens).to.deep.equal([TOKEN, 'another,one']);
    });

    it('does not open a listener to everybody because a file of tokens is empty', async () => {
      expect(await faultOf(load({ STOCKGATE_TOKENS_FILE: folder.write('empty', '\n') }))).to.contain(
        'STOCKGATE_TOKENS_FILE: holds no token',
      );
    });

    it('listens everywhere only with tokens, unless told where', async () => {
      const config = await load({ STOCKGATE_TOKENS: TOKEN, STOCKGATE_ADMIN_TOKENS: TOKEN, ADMIN_HOST: '10.0.0.1' });
      expect([config.public.host, config.admin.host]).to.deep.equal(['0.0.0.0', '10.0.0.1']);
    });

    it('cannot be changed afterwards, at any depth', async () => {
      const notFrozen = (value: unknown, path: string): string[] => {
        if (typeof value !== 'object' || value === null) return [];
        const below = Object.entries(value).flatMap(([name, inner]) => notFrozen(inner, `${path}.${name}`));
        return Object.isFrozen(value) ? below : [path, ...below];
      };
      expect(notFrozen(await load({ STOCKGATE_TOKENS: TOKEN }), 'config')).to.deep.equal([]);
    });
  });
});

describe('the tiers that may refuse early', () => {
  const READ: readonly (readonly [text: string, address: object])[] = [
    ['redis://127.0.0.1:6379', { mode: 'single', nodes: [{ host: '127.0.0.1', port: 6_379 }] }],
    [
      'redis://shop@cache.example:6379',
      { mode: 'single', username: 'shop', nodes: [{ host: 'cache.example', port: 6_379 }] },
    ],
    [
      'redis+cluster://a:7000,[::1]:7001',
      {
        mode: 'cluster',
        nodes: [
          { host: 'a', port: 7_000 },
          { host: '::1', port: 7_001 },
        ],
      },
    ],
    [
      'redis+sentinel://a:26379,b:26379/mymaster',
      {
        mode: 'sentinel',
        sentinelName: 'mymaster',
        nodes: [
          { host: 'a', port: 26_379 },
          { host: 'b', port: 26_379 },
        ],
      },
    ],
  ];
  const NOT_READ = [
    '',
    'redis://',
    'redis://a',
    'redis://a:0',
    'redis://a:65536',
    'redis://a:1,b:2',
    'redis+sentinel://a:1',
    'redis://a:1/name',
    'http://a:1',
    'redis://user:secret@a:1',
  ];

  for (const [text, address] of READ)
    it(`find Redis at ${text}`, () => expect(parseRedisAddress(text)).to.deep.equal(address));
  it('take nothing else for an address', () => {
    for (const text of NOT_READ) expect(() => parseRedisAddress(text), text).to.throw('must be redis://');
  });
});
