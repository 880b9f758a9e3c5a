// What the ledger replaces: a gateway that reads the highest number and inserts the next. One process a core, as
// Express' own guide has it; tells its parent the port, and ends once its parent's pipe does.
import cluster from 'node:cluster';
import { randomUUID } from 'node:crypto';
import { availableParallelism } from 'node:os';
import express from 'express';
import pg from 'pg';

const HIGHEST = `select vtid from "VtidLedger" where vtid like $1 order by length(vtid) desc, vtid desc limit 1`;
const INSERT = `insert into "VtidLedger" (id, vtid, task_family, task_type, description, status, assigned_to, tenant,
  metadata, parent_vtid) values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)
  returning id, vtid, task_family, task_type, description, status, assigned_to, tenant, metadata, parent_vtid,
  created_at, updated_at`;

async function nextVtid(pool) {
  const year = `VTID-${new Date().getUTCFullYear()}-`;
  const { rows } = await pool.query({ name: 'highest', text: HIGHEST, values: [`${year}%`] });
  const highest = rows.length === 0 ? 0 : Number(rows[0].vtid.slice(year.length));
  return year + String(highest + 1).padStart(4, '0');
}

async function create(pool, task) {
  const { taskFamily, taskType, description, status, assignedTo, tenant, metadata, parentVtid } = task;
  const values = [randomUUID(), await nextVtid(pool), taskFamily, taskType, description, status ?? 'pending'];
  values.push(assignedTo ?? null, tenant, metadata ?? null, parentVtid ?? null);
  const { rows } = await pool.query({ name: 'insert', text: INSERT, values });
  return rows[0];
}

function serve() {
  const max = Number(process.env.GATEWAY_CONNECTIONS);
  const pool = new pg.Pool({ connectionString: process.env.DATABASE_URL, max });
  const app = express();
  app.use(express.json());
  app.post('/vtid/create', async (request, response) => {
    try {
      const row = await create(pool, request.body);
      response.json({ ok: true, vtid: row.vtid, data: row });
    } catch {
      // Somebody else took the number, as a rule; the driver counts these.
      response.status(500).json({ ok: false, error: 'Internal error' });
    }
  });
  const server = app.listen(0, '127.0.0.1');
  process.on('disconnect', () => server.close(() => process.exit(0)));
}

function lead() {
  const count = availableParallelism();
  for (let started = 0; started < count; started += 1) cluster.fork();
  let listening = 0;
  cluster.on('listening', (_, { port }) => {
    listening += 1;
    if (listening === count) process.send(port);
  });
  cluster.on('exit', (_, code, signal) => {
    console.error(`a worker of the gateway ended: ${signal ?? code}`);
    process.exit(1);
  });
  process.on('disconnect', () => {
    cluster.removeAllListeners('exit');
    cluster.disconnect(() => process.exit(0));
  });
}

if (cluster.isPrimary) lead();
else serve();
