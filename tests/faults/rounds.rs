//! Which faults strike in which round, and one round from its beginning to the checker's word.

use std::sync::Arc;
use std::time::{Duration, Instant};

use fastrand::Rng;
use sqlx::{Connection as _, PgConnection, Row as _};
use vtid_ledger::domain::cursor::Cursor;

use super::callers::Callers;
use super::checker::{Evidence, Message, Row, objections};
use super::stage::{Need, Stage};
use super::strikes::Fault;
use super::table::Report;
use crate::support::stream::{log_after, stream_messages};

const CALLERS: u64 = 6;
/// Writes before the first fault, and after the last has ended.
const WARM_UP: usize = 60;
const AFTERWARDS: usize = 60;

/// One round's faults, and what decides when and for how long they strike.
#[derive(Clone, Debug)]
pub(crate) struct Round {
    pub(crate) number: usize,
    pub(crate) faults: Vec<Fault>,
    seed: u64,
}

/// Each of `faults` alone, in any order; then two at a time that strike different parts.
pub(crate) fn plan(faults: &[Fault], rounds: usize, seed: u64) -> Vec<Round> {
    let mut random = Rng::with_seed(seed);
    let mut alone = faults.to_vec();
    random.shuffle(&mut alone);
    (0..rounds)
        .map(|number| {
            let faults = match alone.pop() {
                Some(fault) => vec![fault],
                None => pair(faults, &mut random),
            };
            Round { number, faults, seed: random.u64(..) }
        })
        .collect()
}

fn pair(faults: &[Fault], random: &mut Rng) -> Vec<Fault> {
    let one = faults[random.usize(..faults.len())];
    let others: Vec<Fault> = faults.iter().copied().filter(|other| other.part() != one.part()).collect();
    let other = others[random.usize(..others.len())];
    let mut both = vec![one, other];
    both.sort_by_key(|fault| fault.part());
    both
}

/// How a round went.
#[derive(Debug)]
pub(crate) struct Struck {
    /// How often each of its faults struck.
    pub(crate) fired: Vec<usize>,
    /// How long after the last cause's end `/readyz` was 200 and a write that was sent since acknowledged.
    pub(crate) ready: Duration,
    /// How long after it, or after what an operator had to do, nothing was degraded and each follower up to date.
    pub(crate) whole: Duration,
}

impl Round {
    /// What it strikes, in words.
    pub(crate) fn name(&self) -> String {
        self.faults.iter().map(|fault| fault.name()).collect::<Vec<_>>().join(" + ")
    }

    /// Plays it; what the checker objects to fails the test.
    pub(crate) async fn play(&self, report: &mut Report) {
        println!("round {} (seed {}): {}", self.number, self.seed, self.name());
        let mut needs: Vec<Need> = self.faults.iter().flat_map(|fault| fault.needs()).copied().collect();
        // Reads go either way.
        needs.extend(self.seed.is_multiple_of(2).then_some(Need::NoMemory));
        // What few requests are is meant for one process.
        let replicas = (self.seed / 2).is_multiple_of(2) && !needs.contains(&Need::FewRequests);
        needs.extend(replicas.then_some(Need::Replicas));
        needs.extend((!self.number.is_multiple_of(2)).then_some(Need::OldestNats));
        let mut stage = Stage::set(&needs).await;
        stage.strike_at(self.seed / 4);
        println!("    {}", stage.describe());
        let mut callers = Callers::start(stage.targets(), CALLERS, self.seed);
        callers.scene.further(WARM_UP).await;
        let struck = self.strike(&mut stage, &mut callers).await;
        callers.scene.further(AFTERWARDS).await;
        let scene = Arc::clone(&callers.scene);
        let history = callers.stop().await;
        stage.whole_since(Instant::now(), &scene).await;
        let mut evidence = gather(&stage.database_url(), &stage.nats.url()).await;
        evidence.history = history;
        let found = objections(&evidence);
        let acknowledged = evidence.history.iter().filter(|call| call.acknowledged().is_some()).count();
        let Struck { ready, whole, .. } = &struck;
        println!(
            "    {acknowledged} writes acknowledged, ready again after {ready:.2?}, whole after {whole:.2?}"
        );
        report.count(self, &struck, acknowledged, &found);
        let (count, first) = (found.len(), &found[..found.len().min(20)]);
        assert_eq!(count, 0, "round {} ({}): objections, among them {first:#?}", self.number, self.name());
        stage.strike_the_set().await;
    }

    async fn strike(&self, stage: &mut Stage, callers: &mut Callers) -> Struck {
        let mut random = Rng::with_seed(self.seed);
        let (mut fired, mut lasting) = (Vec::new(), Duration::ZERO);
        for fault in &self.faults {
            lasting = lasting.max(fault.lasting(&mut random));
            fired.push(fault.begin(stage, callers, &mut random).await);
            tokio::time::sleep(Duration::from_millis(random.u64(..500))).await;
        }
        tokio::time::sleep(lasting).await;
        let mut ending = self.faults.clone();
        ending.sort_by_key(|fault| fault.part().ends());
        let mut ended = Instant::now();
        for fault in ending {
            ended = fault.end(stage, callers).await;
        }
        let ready = stage.ready_since(ended, &callers.scene).await;
        for fault in &self.faults {
            fault.has_struck(stage, callers).await;
            if fault.operate(stage).await {
                ended = Instant::now();
            }
        }
        let whole = stage.whole_since(ended, &callers.scene).await;
        Struck { fired, ready, whole }
    }
}

/// Log, table and stream, once they stand still.
pub(crate) async fn gather(database: &str, nats: &str) -> Evidence {
    let log = log_after(database, Cursor::Start).await;
    let messages = stream_messages(nats).await.into_iter();
    let stream = messages.map(|m| Message { sequence: m.sequence, position: m.position, record: m.record });
    let sql = r#"select t.vtid, t.version, t.position, jsonb_build_object(
            'id', t.id, 'vtid', t.vtid, 'task_family', t.task_family, 'task_type', t.task_type,
            'description', t.description, 'status', t.status, 'assigned_to', t.assigned_to, 'tenant', t.tenant,
            'metadata', t.metadata, 'parent_vtid', t.parent_vtid,
            'created_at', to_char(t.created_at at time zone 'utc', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"'),
            'updated_at', to_char(t.updated_at at time zone 'utc', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"')
        )::text as shown from "VtidLedger" t"#;
    let mut owner = PgConnection::connect(database).await.unwrap();
    let rows = sqlx::query(sql).fetch_all(&mut owner).await.unwrap();
    let count = |row: &sqlx::postgres::PgRow, name: &str| u64::try_from(row.get::<i64, _>(name)).unwrap();
    let table = rows.iter().map(|row| {
        let shown = serde_json::from_str(row.get("shown")).unwrap();
        (row.get("vtid"), Row { shown, version: count(row, "version"), position: count(row, "position") })
    });
    Evidence { history: Vec::new(), log, table: table.collect(), stream: stream.collect() }
}
