//! One property, through the real program: whatever callers send, everybody sees the same tasks. What was answered is
//! the fold of the log, the row in the table, in GET and in the list, the row after a rebuild, and the fold of what
//! subscribers got.

use std::collections::BTreeMap;
use std::sync::Mutex;

use proptest::test_runner::{Config, TestCaseError, TestRunner};
use serde::Deserialize;
use serde_json::value::RawValue;
use vtid_ledger::domain::cursor::Cursor;
use vtid_ledger::domain::evolve::evolve;
use vtid_ledger::domain::record::Recorded;
use vtid_ledger::domain::row::write_row;
use vtid_ledger::domain::task::Task;
use vtid_ledger::domain::vtid::Vtid;
use vtid_ledger::log::connect::options;
use vtid_ledger::projections::rebuild::{From, diff, rebuild};

use crate::support::generate::{Request, requests};
use crate::support::service::{Answer, Platform, Service, platform};
use crate::support::stream::{assert_stream_is_the_log, log_after, stream_records};

const CASES: u32 = 40;
const REQUESTS: usize = 20;
/// The contract's limit, spelled out.
const RECORD_BYTES_MAX: usize = 65_535;

/// The tasks after some event.
type Tasks = BTreeMap<Vtid, Task>;

/// The answer about one task. Its row is kept as text, for it may hold numbers that no float can.
#[derive(Deserialize)]
struct One<'a> {
    vtid: Option<String>,
    #[serde(borrow)]
    data: &'a RawValue,
}

/// The answer of a patch or of the list.
#[derive(Deserialize)]
struct Many<'a> {
    #[serde(borrow)]
    data: Vec<&'a RawValue>,
    next_cursor: Option<String>,
}

/// What an accepted request was answered.
struct Accepted {
    position: u64,
    version: String,
    row: String,
}

fn row(task: &Task) -> String {
    let mut text = String::new();
    write_row(task, &mut text);
    text
}

fn apply(tasks: &mut Tasks, recorded: &Recorded) {
    let before = tasks.remove(&recorded.event.vtid);
    let after = evolve(before, &recorded.event).unwrap();
    tasks.insert(after.vtid, after);
}

/// Sends the requests one after another; gives what was accepted, in order.
async fn send(service: &Service, requests: &[Request]) -> Vec<Accepted> {
    let (mut made, mut accepted) = (Vec::new(), Vec::new());
    for request in requests {
        let answer = match request {
            Request::Create(body) => service.create(body.as_str()).await,
            Request::Patch(task, body) => {
                let vtid = made.get(*task).map_or("VTID-1999-0001", String::as_str);
                service.patch(vtid, body.as_str()).await
            }
        };
        match answer.status.as_u16() {
            200 => {
                if matches!(request, Request::Create(_)) {
                    made.push(serde_json::from_str::<One>(&answer.text).unwrap().vtid.unwrap());
                }
                accepted.push(accept(&answer, request));
            }
            400 | 404 | 409 => assert_eq!(answer.body["ok"], false, "{answer:?}"),
            _ => panic!("{request:?}: {answer:?}"),
        }
    }
    accepted
}

fn accept(answer: &Answer, request: &Request) -> Accepted {
    let row = match request {
        Request::Create(_) => serde_json::from_str::<One>(&answer.text).unwrap().data.get(),
        Request::Patch(..) => {
            let many = serde_json::from_str::<Many>(&answer.text).unwrap().data;
            assert_eq!(many.len(), 1, "{answer:?}");
            many[0].get()
        }
    };
    Accepted { position: answer.position(), version: answer.header("etag").to_owned(), row: row.to_owned() }
}

/// Folds the log's new events beside what was answered: the same rows at the same positions, and nothing else.
fn fold(log: &[Recorded], accepted: &[Accepted]) -> Tasks {
    let (mut tasks, mut answers) = (Tasks::new(), accepted.iter().peekable());
    for recorded in log {
        assert!(recorded.body.len() <= RECORD_BYTES_MAX, "{} bytes", recorded.body.len());
        apply(&mut tasks, recorded);
        let (task, position) = (&tasks[&recorded.event.vtid], recorded.event.position.get());
        let next = answers.peek().unwrap_or_else(|| panic!("an event that nobody was told of: {recorded:?}"));
        if next.position == position {
            assert_eq!(next.row, row(task), "at position {position}");
            assert_eq!(next.version, format!("\"v{}\"", task.version));
            answers.next();
        }
    }
    assert_eq!(answers.count(), 0, "answers without events");
    tasks
}

/// GET and the list show each task as the fold has it.
async fn assert_shown(service: &Service, tasks: &Tasks) {
    for task in tasks.values() {
        let answer = service.get(&format!("/vtid/{}", task.vtid)).await.expect(200);
        assert_eq!(serde_json::from_str::<One>(&answer.text).unwrap().data.get(), row(task));
        assert_eq!(answer.header("etag"), format!("\"v{}\"", task.version));
    }
    let mut expected = tasks.values().rev();
    let (mut left, mut query) = (tasks.len(), String::new());
    while left > 0 {
        let answer = service.get(&format!("/vtid/list?limit=7{query}")).await.expect(200);
        let page: Many = serde_json::from_str(&answer.text).unwrap();
        for (shown, task) in page.data.iter().zip(expected.by_ref().take(left.min(page.data.len()))) {
            assert_eq!(shown.get(), row(task), "in the list");
            left -= 1;
        }
        query = format!("&cursor={}", page.next_cursor.unwrap_or_default());
    }
}

/// The table's rows are the fold's, in `PostgreSQL`'s own reading of them.
async fn assert_stored(platform: &Platform, tasks: &Tasks) {
    let mut connection = platform.connection().await;
    for task in tasks.values() {
        let (stored, folded): (String, String) = sqlx::query_as(
            r#"select jsonb_build_object('id', id, 'vtid', vtid, 'task_family', task_family, 'task_type', task_type,
                   'description', description, 'status', status, 'assigned_to', assigned_to, 'tenant', tenant,
                   'metadata', metadata, 'parent_vtid', parent_vtid,
                   'created_at', to_char(created_at at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"'),
                   'updated_at', to_char(updated_at at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"'))::text,
                   $2::jsonb::text
               from "VtidLedger" where vtid = $1"#,
        )
        .bind(task.vtid.to_string())
        .bind(row(task))
        .fetch_one(&mut connection)
        .await
        .unwrap();
        assert_eq!(stored, folded);
    }
}

async fn case(platform: &Platform, service: &Service, requests: &[Request]) -> Tasks {
    let before = log_after(platform.database.url(), Cursor::Start).await;
    let cursor = before.last().map_or(Cursor::Start, |last| Cursor::at(&last.event));
    let accepted = send(service, requests).await;
    let tasks = fold(&log_after(platform.database.url(), cursor).await, &accepted);
    assert_shown(service, &tasks).await;
    assert_stored(platform, &tasks).await;
    tasks
}

#[test]
fn everybody_sees_the_same_tasks() {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let platform = runtime.block_on(platform());
    let service = runtime.block_on(platform.serve());
    let all = Mutex::new(Tasks::new());
    let config =
        Config { cases: CASES, max_shrink_iters: 200, failure_persistence: None, ..Config::default() };
    let outcome = TestRunner::new(config).run(&requests(REQUESTS), |requests| {
        let run = || runtime.block_on(case(&platform, &service, &requests));
        // A failed assertion is a failed case, which is then made smaller.
        match std::panic::catch_unwind(std::panic::AssertUnwindSafe(run)) {
            Ok(tasks) => all.lock().unwrap().extend(tasks),
            Err(_) => return Err(TestCaseError::fail("see above")),
        }
        Ok(())
    });
    outcome.unwrap_or_else(|failure| panic!("{failure}"));
    runtime.block_on(assert_kept(&platform, &service, &all.into_inner().unwrap()));
}

/// What the stream and a rebuild make of all that was written.
async fn assert_kept(platform: &Platform, service: &Service, all: &Tasks) {
    let log = assert_stream_is_the_log(platform.database.url(), &platform.nats.url()).await;
    let mut folded = Tasks::new();
    for record in stream_records(&platform.nats.url()).await {
        apply(&mut folded, &Recorded::parse(record).unwrap());
    }
    assert_eq!(&folded, all, "the fold of {} messages", log.len());

    let database = options(platform.database.service_url(), "test").unwrap();
    let differences = async || diff(&database, |_, _| {}).await.unwrap().differences();
    assert_eq!(differences().await, 0);
    let mut connection = platform.connection().await;
    sqlx::raw_sql(
        r#"delete from "VtidLedger" where position % 3 = 0;
           update "VtidLedger" set metadata = '{"edited": true}', status = 'blocked' where position % 3 = 1"#,
    )
    .execute(&mut connection)
    .await
    .unwrap();
    assert_ne!(differences().await, 0);
    rebuild(&database, From::TheStart, |_| {}).await.unwrap();
    assert_eq!(differences().await, 0);
    assert_stored(platform, all).await;
    assert_shown(service, all).await;
}
