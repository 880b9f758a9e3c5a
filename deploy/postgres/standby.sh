#!/bin/sh
# The standby: a copy of the primary, which follows it. After `pg_ctl promote` it is the primary, and alone: it waits for no
# standby (see synchronous_standby_names below), until it is given one.
set -eu
if [ ! -s "$PGDATA/PG_VERSION" ]; then
	install -d -m 700 -o postgres -g postgres "$PGDATA"
	export PGPASSWORD="$REPLICATION_PASSWORD"
	until gosu postgres pg_basebackup --pgdata "$PGDATA" --write-recovery-conf --slot pg_2 \
		--dbname "host=pg-1 user=replicator application_name=pg_2"; do
		find "$PGDATA" -mindepth 1 -delete
		sleep 2
	done
fi
exec docker-entrypoint.sh postgres -c synchronous_standby_names= -c wal_receiver_status_interval=1
