// What the peers in JavaScript share: arguments, a load, the line of figures. The same as load/src/lib.rs.
import { randomUUID } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { parseArgs } from 'node:util';

const RECORD = JSON.parse(readFileSync(new URL('record.json', import.meta.url), 'utf8'));

const USAGE = 'usage: run --database postgres://... --clients N --seconds S [--connections N]';

/// Reads the arguments; `connections` is the peer's own documented pool size unless the caller asks for another one.
export function readOptions(connections) {
  const string = { type: 'string' };
  try {
    const options = { database: string, clients: string, seconds: string, connections: string };
    const { values } = parseArgs({ options });
    // The environment is not to be seen by everybody on the machine, as arguments are.
    const database = values.database ?? process.env.DATABASE_URL;
    if (!database) throw new Error('--database is missing');
    return {
      database,
      clients: whole('clients', values.clients, 1000),
      seconds: whole('seconds', values.seconds, 3600),
      connections: whole('connections', values.connections ?? String(connections), 1000),
    };
  } catch (error) {
    console.error(`${error.message}\n${USAGE}`);
    process.exit(2);
  }
}

function whole(name, text, most) {
  const number = Number(text);
  if (Number.isInteger(number) && number >= 1 && number <= most) return number;
  throw new Error(`--${name}: a whole number from 1 to ${most}, please`);
}

/// An event as the ledger records it, of a task of its own.
export function newRecord() {
  return { ...RECORD, id: randomUUID(), subject: randomUUID() };
}

/// Has every client append one event after the other, until the time is over and the last one is answered.
/// The figures count the failed ones too, in their latencies as well.
export async function drive({ clients, seconds }, append) {
  const latencies = [];
  let failed = 0;
  const start = performance.now();
  const end = start + seconds * 1000;
  const client = async () => {
    for (let sent = performance.now(); sent < end; sent = performance.now()) {
      try {
        await append(newRecord());
      } catch (error) {
        if (failed === 0) console.error('The first failed append:', error);
        failed += 1;
      }
      latencies.push(performance.now() - sent);
    }
  };
  await Promise.all(Array.from({ length: clients }, client));
  const elapsed = (performance.now() - start) / 1000;
  latencies.sort((one, other) => one - other);
  const at = (percent) => latencies[Math.min(Math.floor((latencies.length * percent) / 100), latencies.length - 1)];
  return { appended: latencies.length - failed, failed, seconds: elapsed, p50_ms: at(50), p99_ms: at(99) };
}

/// Prints the line, if the `stored` rows bear it out: all that were answered, and at most `unanswered` more.
export function report(name, version, figures, stored, unanswered = 0) {
  const { appended, failed, seconds, p50_ms, p99_ms } = figures;
  if (appended === 0 || stored < appended || stored > appended + unanswered) {
    throw new Error(`${appended} appended, ${failed} failed, but ${stored} rows in the database`);
  }
  const rounded = (number) => Number(number.toFixed(3));
  console.log(
    JSON.stringify({
      name,
      version,
      appended,
      failed,
      seconds: rounded(seconds),
      p50_ms: rounded(p50_ms),
      p99_ms: rounded(p99_ms),
    }),
  );
}

/// The version of a package as installed beside `from` (an `import.meta.url`).
export function versionOf(name, from) {
  return JSON.parse(readFileSync(new URL(`node_modules/${name}/package.json`, from), 'utf8')).version;
}
