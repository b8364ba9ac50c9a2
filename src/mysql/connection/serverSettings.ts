import { LARGEST_PACKET_BYTES } from '../batching/largestPacket.ts';
import { isOff } from './switches.ts';

/** The settings of a server and a session, by the names of the columns below. */
export type SettingValues = Readonly<Record<string, string | number | null>>;

/** A variable of a server that a promise rests on. */
interface Setting {
  /** As operators write it. */
  readonly name: string;
  /** The variable in a statement. */
  readonly sql: string;
  /** If absent, both products have it. */
  readonly only?: 'mysql' | 'mariadb';
  /** In words, for operators. */
  readonly needed: string;
  /** @param value in capitals; numbers as digits */
  fits(value: string): boolean;
  /** Whether the setting matters, given the other values. If absent, it always does. */
  counts?(values: SettingValues): boolean;
}

/** Some settings and the promise that rests on them. */
interface Promised {
  /**
   * primary   needed for selling, refusing and answering. Commands that read a server that is not in use do without.
   * always    needed for every use.
   * durable   needed unless the configuration allows commits to be lost with the power.
   */
  readonly kind: 'primary' | 'always' | 'durable';
  /** The promise that would be broken, for operators. */
  readonly fault: string;
  readonly settings: readonly Setting[];
}

const isOn = (value: string): boolean => value === '1' || value === 'ON';
const is = (needed: string) => ({ needed, fits: (value: string) => value === needed });
const off = { needed: '0', fits: isOff };
const hasBinaryLog = ({ log_bin }: SettingValues): boolean => log_bin === 1;

/** MIXED logs rows too, because our transactions are READ COMMITTED. With STATEMENT each of their writes fails. */
const rowFormat = {
  needed: 'ROW',
  fits: (value: string) => value === 'ROW' || value === 'MIXED',
  counts: hasBinaryLog,
};
const logged = { needed: '1', fits: isOn, counts: hasBinaryLog };
const packet = {
  needed: `at least ${LARGEST_PACKET_BYTES}`,
  fits: (value: string) => Number(value) >= LARGEST_PACKET_BYTES,
};
const synced = { needed: '1', fits: (value: string) => value === '1' || value === '3' };
const repaired = {
  needed: 'ON',
  fits: (value: string) => isOn(value) || value === 'DETECT_AND_RECOVER' || value === 'FAST',
};

/**
 * The settings of servers that promises rest on. A session begins with the server's value of that moment, so both are
 * checked where a session has its own. The settings that `prepareSession` gives a session are not repeated here.
 */
const PROMISES: readonly Promised[] = [
  {
    // Each write would fail, and a former primary shows data from before another server took over.
    kind: 'primary',
    fault: 'the server takes no writes',
    settings: [
      { name: 'read_only', sql: '@@GLOBAL.read_only', ...off },
      { name: 'super_read_only', sql: '@@GLOBAL.super_read_only', only: 'mysql', ...off },
      { name: 'innodb_read_only', sql: '@@GLOBAL.innodb_read_only', ...off },
      { name: 'transaction_read_only', sql: '@@GLOBAL.transaction_read_only', only: 'mysql', ...off },
      { name: 'tx_read_only', sql: '@@GLOBAL.tx_read_only', only: 'mariadb', ...off },
    ],
  },
  {
    kind: 'primary',
    fault: 'replicas would not get the rows that were written',
    settings: [
      { name: 'binlog_format', sql: '@@GLOBAL.binlog_format', ...rowFormat },
      { name: 'binlog_format of the session', sql: '@@SESSION.binlog_format', ...rowFormat },
      // A dump that was loaded earlier in this session may have turned it off.
      { name: 'sql_log_bin of the session', sql: '@@SESSION.sql_log_bin', ...logged },
    ],
  },
  {
    kind: 'primary',
    fault: 'the longest batch does not fit into a packet',
    settings: [
      { name: 'max_allowed_packet', sql: '@@GLOBAL.max_allowed_packet', ...packet },
      { name: 'max_allowed_packet of the session', sql: '@@SESSION.max_allowed_packet', ...packet },
    ],
  },
  {
    kind: 'always',
    fault: 'rows that break a CHECK would be taken',
    settings: [
      {
        ...{ name: 'check_constraint_checks of the session', sql: '@@SESSION.check_constraint_checks' },
        ...{ only: 'mariadb', needed: '1', fits: isOn },
      },
    ],
  },
  {
    kind: 'durable',
    fault: 'commits may be lost with the power',
    settings: [
      // MariaDB's 3 writes the log to disk twice for each commit.
      { name: 'innodb_flush_log_at_trx_commit', sql: '@@GLOBAL.innodb_flush_log_at_trx_commit', ...synced },
      { name: 'sync_binlog', sql: '@@GLOBAL.sync_binlog', ...is('1'), counts: hasBinaryLog },
      // A page that was half written cannot be repaired from the log.
      { name: 'innodb_doublewrite', sql: '@@GLOBAL.innodb_doublewrite', ...repaired },
    ],
  },
];

const SETTINGS = PROMISES.flatMap(({ settings }) => settings);
/** Each product runs the text in its own kind of comment. MariaDB skips the one for MySQL 8.0 and later. */
const COMMENTS = { mysql: ['/*!80000', '*/'], mariadb: ['/*M!', '*/'] } as const;

/** The columns that read all settings, to follow other columns. A column is named by its place in the list above. */
export const SETTING_COLUMNS = [
  ', @@GLOBAL.log_bin AS log_bin',
  ...SETTINGS.map(({ sql, only }, place) => {
    const [begin, end] = only === undefined ? ['', ''] : COMMENTS[only];
    return `${begin} , ${sql} AS setting_${place} ${end}`;
  }),
].join('\n       ');

/** Faults of a server by kind. Each text names the broken promise, the settings, the values found and those needed. */
export type SettingFaults = Readonly<Record<Promised['kind'], readonly string[]>>;

/** @param values as `SETTING_COLUMNS` read them */
export function settingFaults(values: SettingValues): SettingFaults {
  const faults: Record<Promised['kind'], string[]> = { primary: [], always: [], durable: [] };
  for (const { kind, fault, settings } of PROMISES) {
    const unfit = settings.flatMap((setting) => {
      const value = values[`setting_${SETTINGS.indexOf(setting)}`];
      // The other product has no such setting.
      if (value === undefined || setting.counts?.(values) === false) return [];
      return setting.fits(String(value).toUpperCase())
        ? []
        : [`${setting.name} = ${value} (needed: ${setting.needed})`];
    });
    if (unfit.length > 0) faults[kind].push(`${fault}: ${unfit.join(', ')}`);
  }
  return faults;
}
