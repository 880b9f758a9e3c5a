// The gateway over real HTTP: starts it, has wrk send the very creates that the ledger is sent, counts the failed ones.
import { fork, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { text } from 'node:stream/consumers';
import { fileURLToPath } from 'node:url';
import pg from 'pg';
import { readOptions, report, versionOf } from '../load.mjs';

const path = (name) => fileURLToPath(new URL(name, import.meta.url));

/// Starts the server; resolves to it and its address.
async function start({ database, connections }) {
  const env = { ...process.env, DATABASE_URL: database, GATEWAY_CONNECTIONS: String(connections) };
  const server = fork(path('server.mjs'), { env, stdio: ['ignore', 2, 2, 'ipc'] });
  const ended = once(server, 'exit').then(([code]) => Promise.reject(new Error(`the gateway ended: ${code}`)));
  // Only while it starts.
  ended.catch(() => {});
  const [port] = await Promise.race([once(server, 'message'), ended]);
  return { server, address: `http://127.0.0.1:${port}` };
}

async function stop(server) {
  if (server.exitCode !== null || server.signalCode !== null) throw new Error('the gateway ended by itself');
  const ended = once(server, 'exit');
  server.disconnect();
  await ended;
}

/// wrk's figures: its times are microseconds, its `status` the answers of 400 and more.
async function load({ clients, seconds }, address) {
  const threads = Math.min(clients, 2);
  const args = ['--threads', threads, '--connections', clients, '--duration', `${seconds}s`, '--timeout', '10s'];
  const script = path('../../wrk/create.lua');
  const body = readFileSync(path('../../wrk/create.json'), 'utf8');
  const env = { ...process.env, BENCH_TOKENS: '', BENCH_BODY: body, BENCH_DONE: path('../../wrk/done.lua') };
  const wrk = spawn('wrk', [...args, '--script', script, address].map(String), { env, stdio: ['ignore', 'pipe', 2] });
  const [output, [code]] = await Promise.all([text(wrk.stdout), once(wrk, 'close')]);
  const line = output.match(/^BENCH (.+)$/m);
  if (code !== 0 || !line) throw new Error(`wrk ended with ${code}:\n${output}`);
  const [requests, elapsed, connect, read, write, status, timeout, p50, p99] = line[1].split(' ').map(Number);
  if (connect + read + write + timeout > 0) throw new Error(`not every request was answered: ${line[0]}`);
  const figures = { appended: requests - status, failed: status, seconds: elapsed / 1e6 };
  return { ...figures, p50_ms: p50 / 1000, p99_ms: p99 / 1000 };
}

const options = readOptions(10);
const client = new pg.Client({ connectionString: options.database });
await client.connect();
await client.query(readFileSync(path('schema.sql'), 'utf8'));

const { server, address } = await start(options);
const figures = await load(options, address).finally(() => stop(server));

const { rows } = await client.query('select count(*)::int as stored from "VtidLedger"');
await client.end();
const [express, driver] = ['express', 'pg'].map((name) => versionOf(name, import.meta.url));
// wrk hangs up at the end, so the last request of each connection may have gone in unanswered.
const version = `${express}, pg ${driver}`;
report(`gateway: express ${version}`, version, figures, rows[0].stored, options.clients);
