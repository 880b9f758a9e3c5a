#!/bin/sh
# Run once by the postgres image, when the primary's database has just been made: lets the standby in, and from the next
# start on has every commit wait for it.
set -eu
psql --set ON_ERROR_STOP=1 --set password="$REPLICATION_PASSWORD" --username "$POSTGRES_USER" --dbname "$POSTGRES_DB" <<'SQL'
create role replicator login replication password :'password';
select pg_create_physical_replication_slot('pg_2');
alter system set synchronous_standby_names = 'FIRST 1 (pg_2)';
SQL
echo "host replication replicator all scram-sha-256" >>"$PGDATA/pg_hba.conf"
