import { parseRedisAddress } from '../../src/redis/address.ts';
import { expect } from 'chai';
import { loadConfig } from '../../src/config/config.ts';
import type { Config } from '../../src/config/config.ts';
import { ConfigError } from '../../src/config/configError.ts';
import { loadShards } from '../../src/config/shardsFile.ts';
import { projectPath } from '../../src/projectPath.ts';
import { NOT_REDIS_ADDRESSES, REDIS_ADDRESSES } from '../support/inputs/redisAddresses.ts';
import { SETTINGS_FAULTS, TOKEN } from '../support/inputs/settingsFaults.ts';
import { PASSWORD, REPLICA, SHARDS_FILE_FAULTS, validFile } from '../support/inputs/shardsFileFaults.ts';
import type { Draft } from '../support/inputs/shardsFileFaults.ts';
import { temporaryFolder } from '../support/run/temporary.ts';
import type { TemporaryFolder } from '../support/run/temporary.ts';

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
    for (const [what, change, fault] of SHARDS_FILE_FAULTS) {
      it(`names the path of ${what}`, async () => {
        const draft = validFile();
        change(draft);
        const wrong = folder.write('wrong.json', JSON.stringify(draft));
        expect(await faultOf(load({ STOCKGATE_SHARDS: wrong }))).to.contain(`${wrong} is wrong:\n  ${fault}`);
      });
    }

    it('reports every fault at once', async () => {
      const draft: Draft = validFile();
      draft.shards[0].name = 'shard-1';
      draft.initialShards = 9;
      const message = await faultOf(load({ STOCKGATE_SHARDS: folder.write('wrong.json', JSON.stringify(draft)) }));
      expect(message.split('\n').slice(1)).to.deep.equal([
        '  initialShards: must not be above the number of shards, 4',
        '  shards[1].name: is the same as shards[0].name',
      ]);
    });

    it('does not round the numbers of a JSON file, and rejects duplicate fields', async () => {
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

    it('accepts a JSON file in UTF-8 only', async () => {
      const bytes = Buffer.from(JSON.stringify(validFile()).replace('db.example', 'caf\xe9'), 'latin1');
      expect(await faultOf(loadShards(folder.write('latin.json', bytes), environment()))).to.match(
        /\(file\): .*utf-8/i,
      );
    });

    it('reports a file that is missing, is not JSON, or exports nothing', async () => {
      const at = (path: string): Promise<string> => faultOf(loadShards(path, environment()));
      expect(await at('/nowhere/shards.json')).to.match(/^\/nowhere\/shards\.json is wrong:\n {2}\(file\): ENOENT/);
      expect(await at('/nowhere/shards.ts')).to.match(/\(file\): Cannot find module/);
      expect(await at(folder.write('half.json', '{ "shards": ['))).to.contain('(file): ');
      expect(await at(folder.write('named.ts', 'export const shards = [];'))).to.contain(
        'default export: must be an object with initialShards and shards, found nothing',
      );
    });

    it('reads the same from TypeScript and JSON', async () => {
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

    it('uses the schema of the primary for a replica that names none', async () => {
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

    it('accepts the file of this repository: sixteen shards, each in its own schema', async () => {
      const { initialShards, shards } = await loadShards(projectPath('shards.config.ts'), {
        STOCKGATE_MYSQL_PASSWORD: '',
      });
      expect([initialShards, shards.length, new Set(shards.map(({ address }) => address.schema)).size]).to.deep.equal([
        16, 16, 16,
      ]);
    });
  });

  describe('of the gateway', () => {
    it('has defaults for all settings, and treats an empty variable as absent', async () => {
      const { shards, ...rest } = await load({ PORT: '', HOST: '', STOCKGATE_REQUEST_MS: ' ', STOCKGATE_TOKENS: '' });
      expect(shards).to.have.length(4);
      expect(rest).to.deep.equal({
        public: { host: '127.0.0.1', port: 8080, tokens: [] },
        admin: { host: '127.0.0.1', port: 8081, tokens: [] },
        ...{
          workers: 1,
          engine: 'batching',
          batchLinesMax: 1_536,
          reconciliationRoundMs: 480_000,
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

    it('parses numbers and switches', async () => {
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

    it('allows a burst of one second by default', async () => {
      expect((await load({ STOCKGATE_RATE_PER_SECOND: '5' })).rate).to.deep.equal({ perSecond: 5, burst: 5 });
      expect((await load({ STOCKGATE_RATE_PER_SECOND: '5', STOCKGATE_RATE_BURST: '2' })).rate).to.deep.equal({
        perSecond: 5,
        burst: 2,
      });
    });

    it('accepts the base URL or the full URL of the collector of traces', async () => {
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

    it('prefers the command line to the environment', async () => {
      const given = environment({ STOCKGATE_WORKERS: '2' });
      expect([
        (await loadConfig(given)).workers,
        (await loadConfig(given, { STOCKGATE_WORKERS: '3' })).workers,
      ]).to.deep.equal([2, 3]);
      for (const option of ['0', 'NaN', '1.5', '1e0', '0.99999999999999999', '']) {
        const fault = `STOCKGATE_WORKERS: must be a whole number from 1 to 64, in digits, found "${option}"`;
        expect(await faultOf(loadConfig(given, { STOCKGATE_WORKERS: option }))).to.contain(fault);
      }
    });

    for (const [more, fault] of SETTINGS_FAULTS) {
      it(`is refused with ${Object.entries(more)
        .map(([name, value]) => `${name}=${value}`)
        .join(' ')}`, async () => {
        const lines = (await faultOf(load(more))).split('\n');
        expect(lines).to.have.length(2);
        expect(lines[0]).to.equal('the environment is wrong:');
        expect(lines[1]).to.contain(`  ${fault}`);
      });
    }

    it('reads tokens from a list or from a file, separately for each listener', async () => {
      const tokens = folder.write('tokens', `${TOKEN}\r\n\n  another,one\n`);
      const config = await load({ STOCKGATE_TOKENS: ` ${TOKEN} ,second`, STOCKGATE_ADMIN_TOKENS_FILE: tokens });
      expect(config.public.tokens).to.deep.equal([TOKEN, 'second']);
      expect(config.admin.tokens).to.deep.equal([TOKEN, 'another,one']);
    });

    it('refuses an empty file of tokens, instead of a listener without tokens', async () => {
      expect(await faultOf(load({ STOCKGATE_TOKENS_FILE: folder.write('empty', '\n') }))).to.contain(
        'STOCKGATE_TOKENS_FILE: holds no token',
      );
    });

    it('listens on all addresses by default only with tokens', async () => {
      const config = await load({ STOCKGATE_TOKENS: TOKEN, STOCKGATE_ADMIN_TOKENS: TOKEN, ADMIN_HOST: '10.0.0.1' });
      expect([config.public.host, config.admin.host]).to.deep.equal(['0.0.0.0', '10.0.0.1']);
    });

    it('is frozen at every depth', async () => {
      const notFrozen = (value: unknown, path: string): string[] => {
        if (typeof value !== 'object' || value === null) return [];
        const below = Object.entries(value).flatMap(([name, inner]) => notFrozen(inner, `${path}.${name}`));
        return Object.isFrozen(value) ? below : [path, ...below];
      };
      expect(notFrozen(await load({ STOCKGATE_TOKENS: TOKEN }), 'config')).to.deep.equal([]);
    });
  });
});

describe('addresses of Redis', () => {
  for (const [text, address] of REDIS_ADDRESSES)
    it(`are parsed: ${text}`, () => expect(parseRedisAddress(text)).to.deep.equal(address));
  it('are rejected in every other form', () => {
    for (const text of NOT_REDIS_ADDRESSES) expect(() => parseRedisAddress(text), text).to.throw('must be redis://');
  });
});
