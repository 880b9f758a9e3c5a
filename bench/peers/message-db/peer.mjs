// message-db: one write_message, one stream, one message.
import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import pg from 'pg';
import { parse } from 'pg-connection-string';
import { drive, readOptions, report, versionOf } from '../load.mjs';

const PACKAGE = '@eventide/message-db';
const WRITE = {
  name: 'write-message',
  text: 'select write_message($1::varchar, $2::varchar, $3::varchar, $4::jsonb, null, -1)',
};

/// Runs the package's own installer in the database, which is there already. It calls psql.
async function install(database) {
  const { host, port, user, password, database: name } = parse(database);
  const client = new pg.Client({ connectionString: database });
  await client.connect();
  const { rows } = await client.query(`select setting from pg_config() where name = 'BINDIR'`);
  await client.end();
  const env = {
    ...process.env,
    PATH: `${process.env.PATH}:${rows[0].setting}`,
    PGHOST: host,
    PGPORT: port || '5432',
    PGUSER: user,
    PGPASSWORD: password ?? '',
    DATABASE_NAME: name,
    CREATE_DATABASE: 'off',
  };
  const script = fileURLToPath(new URL(`node_modules/${PACKAGE}/database/install.sh`, import.meta.url));
  // Its chatter is no figure: to our stderr.
  const { status, error } = spawnSync('bash', [script], { env, stdio: ['ignore', 2, 2] });
  if (status !== 0) throw new Error(`message-db's install.sh failed: ${error ?? status}`);
}

const options = readOptions(10);
await install(options.database);
const pool = new pg.Pool({
  connectionString: options.database,
  max: options.connections,
  options: '-c search_path=message_store,public',
});

const figures = await drive(options, (record) =>
  pool.query({ ...WRITE, values: [record.id, `task-${record.subject}`, record.type, JSON.stringify(record)] }),
);

const { rows } = await pool.query('select count(*)::int as stored from messages');
await pool.end();
const version = versionOf(PACKAGE, import.meta.url);
report(`message-db ${version}`, version, figures, rows[0].stored);
