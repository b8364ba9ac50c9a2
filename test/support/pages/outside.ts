/** Names in pages that belong to other programs, so that the sources of the project need not have them. */
export const OUTSIDE: ReadonlySet<string> = new Set([
  // Flags of mysqld and Docker.
  ...['--sysdate-is-now', '--build-arg'],
  // Read by the OpenTelemetry SDK.
  ...['OTEL_EXPORTER_OTLP_HEADERS', 'OTEL_SERVICE_NAME', 'OTEL_RESOURCE_ATTRIBUTES'],
  // The form of a GTID in MariaDB.
  'domain-server-sequence',
  // Programs and system calls.
  ...['curl', 'mariadb-dump', 'writev'],
]);
