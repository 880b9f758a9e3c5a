//! A rebuild by the real command, while callers read and write and somebody edits the table by hand: no read fails,
//! and what was edited is mended, among tasks of which one has 100,000 events.

use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::process::Command;
use tokio::task::JoinSet;
use tokio::time::{MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;
use vtid_ledger::clock::Clock;
use vtid_ledger::domain::command::Action;
use vtid_ledger::domain::cursor::Cursor;
use vtid_ledger::domain::event::{Event, EventData, IdSeed};
use vtid_ledger::domain::position::{Position, Version};
use vtid_ledger::domain::record::Recorded;
use vtid_ledger::domain::text::Tenant;
use vtid_ledger::domain::vtid::Vtid;
use vtid_ledger::log::append::{AppendReply, append};
use vtid_ledger::log::connect::{options, pool};
use vtid_ledger::log::hold::Losses;
use vtid_ledger::log::schema::ledger_id;

use crate::support::commands::{patch, some_create};
use crate::support::load::{Load, assert_kept};
use crate::support::service::{Answer, Platform, Service, platform, some_task};
use crate::support::stream::log_after;
use crate::support::{eventually, program};

const LARGE: u64 = 100_000;
const GROUP: u64 = 500;
/// Tasks that nobody writes to any more: some are edited, the others are read all the time.
const SETTLED: usize = 60;
const READERS: usize = 4;
const WRITERS: u64 = 4;
/// Of each reader and writer: some 500 requests a second altogether.
const PAUSE: Duration = Duration::from_millis(16);

/// Appends a task of many events, as a ledger that ran for long would hold it.
async fn seed_large_task(platform: &Platform) -> Vtid {
    let database = options(platform.database.service_url(), "test").unwrap();
    let ledger = ledger_id(&pool(database, 1)).await.unwrap();
    let time = Clock::system().now();
    let vtid = Vtid::first_of(time.year());
    let mut connection = platform.connection().await;
    let mut head = Cursor::Start;
    for group in 0..LARGE / GROUP {
        let numbers = group * GROUP + 1..=(group + 1) * GROUP;
        let records: Vec<Recorded> = numbers
            .map(|number| {
                let command = match number {
                    1 => some_create("large"),
                    _ => patch(vtid, &format!(r#"{{"metadata":{{"n":{number}}}}}"#)),
                };
                let data = match command.action {
                    Action::Create(create) => EventData::Created(create),
                    Action::Patch(_, patch, _) => EventData::Updated(patch),
                    Action::Refuse(_) => unreachable!("nothing is refused"),
                };
                let event = Event {
                    position: Position::new(number),
                    id: IdSeed(u128::from(number) << 16).event_id(time, 1, 0),
                    vtid,
                    version: Version::new(number),
                    tenant: Tenant::parse("system").unwrap(),
                    recorded_at: time,
                    origin: command.origin,
                    data,
                };
                Recorded::print(event, ledger)
            })
            .collect();
        let events: Vec<&Recorded> = records.iter().collect();
        let reply =
            append(&mut connection, head, Losses::default(), Duration::from_mins(1), &events).await.unwrap();
        assert_eq!(reply, AppendReply::Appended);
        head = Cursor::at(&records.last().unwrap().event);
    }
    vtid
}

/// Readers under way: every read must succeed.
struct Readers {
    reads: Arc<AtomicUsize>,
    stop: CancellationToken,
    tasks: JoinSet<()>,
}

impl Readers {
    fn start(service: &Arc<Service>, vtids: &[String]) -> Self {
        let mut readers =
            Self { reads: Arc::default(), stop: CancellationToken::new(), tasks: JoinSet::new() };
        for reader in 0..READERS {
            let (service, vtids) = (Arc::clone(service), vtids.to_vec());
            let (reads, stop) = (Arc::clone(&readers.reads), readers.stop.clone());
            readers.tasks.spawn(async move {
                let mut ticks = interval(PAUSE);
                ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
                for number in reader.. {
                    if stop.is_cancelled() {
                        return;
                    }
                    ticks.tick().await;
                    let path = match number % 4 {
                        0 => "/vtid/list?limit=20&taskFamily=DEPLOY".to_owned(),
                        _ => format!("/vtid/{}", vtids[number % vtids.len()]),
                    };
                    let answer = read(&service, &path).await;
                    if let Some(shown) = answer.body["data"]["vtid"].as_str() {
                        assert!(path.ends_with(shown), "{path}: {answer:?}");
                    } else {
                        assert_eq!(answer.body["count"], 20, "{answer:?}");
                    }
                    reads.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
        readers
    }

    async fn stop(self) -> usize {
        self.stop.cancel();
        self.tasks.join_all().await;
        self.reads.load(Ordering::Relaxed)
    }
}

/// On a machine that has more to do than it can, the database may not answer in time; nothing of the rebuild's stands in the
/// way for long.
async fn read(service: &Service, path: &str) -> Answer {
    let first = service.get(path).await;
    if first.status != 503 {
        return first.expect(200);
    }
    assert_eq!(first.body["code"], "unavailable", "{first:?}");
    service.get(path).await.expect(200)
}

/// Edits of every kind, by hand; those tasks are nobody's but ours.
async fn edit(platform: &Platform, settled: &[String]) {
    let mut connection = platform.connection().await;
    let edits = [
        r#"update "VtidLedger" set status = 'cancelled' where vtid = $1"#,
        r#"update "VtidLedger" set metadata = '{"edited": true}' where vtid = $1"#,
        r#"update "VtidLedger" set id = gen_random_uuid()::text where vtid = $1"#,
        r#"update "VtidLedger" set vtid = 'VTID-1999-' || right(vtid, 4) where vtid = $1"#,
        r#"delete from "VtidLedger" where vtid = $1"#,
        r#"insert into "VtidLedger" select gen_random_uuid(), 'VTID-1998-' || right(vtid, 4), task_family, task_type,
               'a phantom', status, assigned_to, tenant, metadata, parent_vtid, created_at, updated_at, version,
               created_position, position
           from "VtidLedger" where vtid = $1"#,
    ];
    for (vtid, edit) in settled.iter().zip(edits.iter().cycle()) {
        let done = sqlx::query(*edit).bind(vtid).execute(&mut connection).await.unwrap();
        assert_eq!(done.rows_affected(), 1, "{edit}: {vtid}");
    }
}

async fn rebuild_by_command(platform: &Platform) -> String {
    let child = Command::new(program())
        .args(["projection", "rebuild", "vtid_ledger"])
        .env_clear()
        .env("DATABASE_URL", platform.database.service_url())
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output();
    let output =
        tokio::time::timeout(Duration::from_mins(2), child).await.expect("the rebuild to end").unwrap();
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn reads_and_writes_go_on_and_every_edit_is_mended() {
    let platform = platform().await;
    let large = seed_large_task(&platform).await.to_string();
    let service = Arc::new(platform.serve().await);
    let mut settled = Vec::new();
    for number in 0..SETTLED {
        settled.push(
            service.create(some_task(&format!("settled {number}"))).await.expect(200).vtid().to_owned(),
        );
    }
    eventually("the projection to have caught up", async || {
        (service.get(&format!("/vtid/{large}")).await.status.as_u16() == 200).then_some(())
    })
    .await;
    let before = rows(&service, &settled).await;

    let (edited, read) = settled.split_at(SETTLED / 2);
    let mut read = read.to_vec();
    read.push(large.clone());
    let writers = Load::start(&[&service], WRITERS, PAUSE);
    let readers = Readers::start(&service, &read);
    writers.further(100).await;
    edit(&platform, edited).await;
    let told = rebuild_by_command(&platform).await;
    // Five of each kind; a changed vtid leaves one row missing and one that no task has.
    assert!(told.contains("35 rows mended (10 were missing, 15 differed, 10 had no events)"), "{told}");
    assert_eq!(rows(&service, &settled).await, before, "while writes go on");
    writers.further(100).await;
    let (written, reads) = (writers.stop().await, readers.stop().await);
    assert!(reads > 100, "{reads}");

    assert_kept(&log_after(platform.database.url(), Cursor::Start).await, &written);
    let last = written.last().unwrap();
    service.get(&format!("/vtid/{}", last.vtid)).await.expect(200);
    let phantom = service.get(&format!("/vtid/VTID-1998-{}", &settled[5][10..])).await;
    phantom.expect(404);
    let row = service.get(&format!("/vtid/{large}")).await.expect(200);
    assert_eq!(row.body["data"]["metadata"]["n"], LARGE);
    // Nothing is left of the phantoms, nor of what was put under other names.
    eventually("a row for each task, and no other", async || {
        let (rows, tasks): (i64, i64) = sqlx::query_as(
            r#"select (select count(*) from "VtidLedger"), (select count(*) from ledger.event where version = 1)"#,
        )
        .fetch_one(&mut platform.connection().await)
        .await
        .unwrap();
        (rows == tasks).then_some(())
    })
    .await;
}

async fn rows(service: &Service, vtids: &[String]) -> Vec<String> {
    let mut rows = Vec::new();
    for vtid in vtids {
        rows.push(service.get(&format!("/vtid/{vtid}")).await.expect(200).text);
    }
    rows
}
