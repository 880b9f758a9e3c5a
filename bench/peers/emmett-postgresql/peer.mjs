// Emmett's event store: one append, one stream, one event.
import { getPostgreSQLEventStore } from '@event-driven-io/emmett-postgresql';
import pg from 'pg';
import { drive, readOptions, report, versionOf } from '../load.mjs';

const PACKAGE = '@event-driven-io/emmett-postgresql';

const options = readOptions(20);
// The documented `connectionOptions: { max }` is dropped on its way to pg: a pool of one's own is not.
const pool = new pg.Pool({ connectionString: options.database, max: options.connections });
const store = getPostgreSQLEventStore(options.database, { connectionOptions: { pool } });
await store.schema.migrate();

// Version 0 holds the stream to be a new one; `STREAM_DOES_NOT_EXIST` is taken for no condition at all.
const figures = await drive(options, (record) =>
  store.appendToStream(`task-${record.subject}`, [{ type: record.type, data: record }], { expectedStreamVersion: 0n }),
);

const { rows } = await pool.query('select count(*)::int as stored from emt_messages');
await store.close();
await pool.end();
const version = versionOf(PACKAGE, import.meta.url);
report(`emmett-postgresql ${version}`, version, figures, rows[0].stored);
