#!/bin/bash
# What deploy/compose.yml and docs/operating/containers.md use of the official MySQL image's entrypoint, and no more: MYSQL_USER,
# MYSQL_PASSWORD, /docker-entrypoint-initdb.d/*.sql on the first start; mysqld's arguments as the command.
set -euo pipefail

[[ ${1:-} == -* ]] && set -- mysqld "$@"
[[ ${1:-} == mysqld ]] || exec "$@"

data=/var/lib/mysql
if [[ ! -d $data/mysql ]]; then
  chown mysql:mysql "$data"
  first=$(mktemp)
  # One statement a line, as a server wants it while it initialises. Root has no password yet, and no way in afterwards.
  {
    if [[ -n ${MYSQL_USER:-} ]]; then
      password=${MYSQL_PASSWORD//\\/\\\\}
      echo "CREATE USER '$MYSQL_USER'@'%' IDENTIFIED BY '${password//\'/\'\'}';"
    fi
    for file in /docker-entrypoint-initdb.d/*.sql; do
      if [[ -f $file ]]; then grep -v -e '^--' -e '^$' "$file" || true; fi
    done
    echo "ALTER USER 'root'@'localhost' ACCOUNT LOCK;"
  } >"$first"
  chown mysql "$first"
  echo "initialising $data" >&2
  # Settings of the command are for a server that serves; these are for one that only makes its data. In a folder of their own, so
  # that a container killed meanwhile begins anew.
  rm -rf "$data/.new"
  mysqld --no-defaults --user=mysql --datadir="$data/.new" --initialize-insecure --init-file="$first" --log-error-verbosity=1
  rm -f "$first" "$data/.new/auto.cnf"
  # The folder of the system's own schema last: it says that all is there.
  find "$data/.new" -mindepth 1 -maxdepth 1 ! -name mysql -exec mv -t "$data" {} +
  mv "$data/.new/mysql" "$data"
  rmdir "$data/.new"
fi
shift
exec mysqld --no-defaults --user=mysql --datadir="$data" --socket=/var/run/mysqld/mysqld.sock --pid-file=/var/run/mysqld/mysqld.pid "$@"
