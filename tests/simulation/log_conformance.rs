//! The model of the log against `PostgreSQL`: the same random steps drive both, and every reply is the same.

use std::collections::BTreeMap;
use std::time::Duration;

use fastrand::Rng;
use sqlx::postgres::PgDatabaseError;
use sqlx::{Connection, PgConnection};
use vtid_ledger::domain::cursor::Cursor;
use vtid_ledger::domain::position::Position;
use vtid_ledger::domain::record::Recorded;
use vtid_ledger::domain::time::Timestamp;
use vtid_ledger::log::append::{AppendReply, append};
use vtid_ledger::log::head::{is_head, read_head};
use vtid_ledger::log::hold::{Hold, Losses, read_losses};
use vtid_ledger::log::load::load;
use vtid_ledger::log::read::{ReadError, read_after};
use vtid_ledger::log::turn::Turn;
use vtid_ledger::log::turn::writing::WritersTurn;
use vtid_ledger::writer::machine::Failure;

use super::conformance_steps::{NAME, Step, Steps};
use super::database::{Database, Projected};
use super::log_model::{LatestTime, LogModel};
use crate::support::{TestLedger, ledger};

const STEPS: usize = 600;
/// As in production.
const TAIL_EVENTS: usize = 1024;
const MAX_AHEAD: Duration = Duration::from_mins(1);
/// What must be seen.
const KINDS: &[&str] = &[
    "append Ok(())",
    "append Err(NotTheHead)",
    "append Err(Conflict)",
    "append Err(Refused)",
    "append Err(TimeRefused)",
    "append Err(Held)",
    "turn OtherPast else",
    "turn FarBehind Some(Ok",
    "turn Moved Some(Ok",
    "turn Moved([]) Some(Ok",
    "turn Moved Some(Err",
    "cursor Moved",
    "cursor CursorElsewhere",
    "cursor NotInLog",
    "lift, loss accepted: true",
    "lock true Ok(())",
];
const ANY_TIME: Duration = Duration::from_hours(24 * 365 * 100);

/// What the model says.
fn model(database: &mut Database, step: &Step) -> String {
    match step {
        Step::Append { head, losses, entries, any_time } => {
            database.latest = latest(*any_time);
            format!("{:?}", database.append(*head, *losses, entries))
        }
        Step::Turn { head, unsettled, wanted, at, closing } => {
            let view = database.log.view(*head, *unsettled);
            let loaded = database.log.load(wanted, *at);
            database.latest = latest(false);
            let closed =
                closing.as_ref().map(|(head, entries)| database.append(*head, database.log.losses, entries));
            format!("{view:?} {loaded:?} {closed:?}")
        }
        Step::Load(wanted, at) => format!("{:?}", database.log.load(wanted, *at)),
        Step::Read(cursor, max) => {
            let rows = database.log.after(*cursor, *max);
            let read = rows.map(|rows| rows.iter().map(|row| row.entry.recorded.clone()).collect::<Vec<_>>());
            format!("{read:?}")
        }
        Step::Head(cursor) => {
            let head = database.log.head();
            let same = head.cursor == *cursor && database.log.hold.is_none();
            format!("{head:?} {same}")
        }
        Step::Move(from, to) => format!("{:?}", database.project(*from, *to, [])),
        Step::Hold(position) => {
            database.set_hold(hold(*position));
            String::new()
        }
        Step::Lift { accept } => {
            database.decide(None, Losses(database.log.losses.0 + u64::from(*accept)));
            String::new()
        }
        Step::Lock(head, entries) => {
            database.lock = Some(0);
            let locked = database.locked_for(1);
            database.release(0);
            database.latest = latest(false);
            format!("{locked} {:?}", database.append(*head, database.log.losses, entries))
        }
    }
}

/// An append while somebody has the exclusive lock, and one beside a shared one.
async fn real_lock(
    ledger: &TestLedger,
    connection: PgConnection,
    head: Cursor,
    entries: &[&Recorded],
) -> (PgConnection, String) {
    let turn = Turn::open(connection).await.unwrap();
    let mut other = ledger.connection().await;
    sqlx::raw_sql("set lock_timeout = '20ms'").execute(&mut other).await.unwrap();
    let losses = read_losses(&mut other).await.unwrap();
    let waits = append(&mut other, head, losses, MAX_AHEAD, entries).await;
    let code = waits.unwrap_err().as_database_error().unwrap().code().unwrap().into_owned();
    let mut connection = turn.end().await.unwrap();
    sqlx::raw_sql("set lock_timeout = 0").execute(&mut other).await.unwrap();
    // A shared lock keeps no append out.
    sqlx::raw_sql("begin; select pg_advisory_xact_lock_shared(ledger.append_lock())")
        .execute(&mut connection)
        .await
        .unwrap();
    let appended = meaning(append(&mut other, head, losses, MAX_AHEAD, entries).await);
    sqlx::raw_sql("rollback").execute(&mut connection).await.unwrap();
    (connection, format!("{} {appended:?}", code == "55P03"))
}

/// What `PostgreSQL` says.
async fn real(ledger: &TestLedger, connection: PgConnection, step: &Step) -> (PgConnection, String) {
    let mut connection = connection;
    let said = match step {
        Step::Append { head, losses, entries, any_time } => {
            let max_ahead = if *any_time { ANY_TIME } else { MAX_AHEAD };
            format!(
                "{:?}",
                meaning(append(&mut connection, *head, *losses, max_ahead, &records(entries)).await)
            )
        }
        Step::Turn { head, unsettled, wanted, at, closing } => {
            let (mut turn, view) = WritersTurn::open(connection, *head, *unsettled).await.unwrap();
            let loaded = turn.load(wanted, *at).await.unwrap();
            let closed = match closing {
                Some((head, entries)) => {
                    Some(meaning(turn.append(*head, MAX_AHEAD, &records(entries)).await))
                }
                None => None,
            };
            connection = match closed {
                Some(_) => turn.end().await.unwrap(),
                None => turn.confirm().await.unwrap(),
            };
            format!("{view:?} {loaded:?} {closed:?}")
        }
        Step::Load(wanted, at) => format!("{:?}", load(&mut connection, wanted, *at).await.unwrap()),
        Step::Read(cursor, max) => {
            let read = match read_after(&mut connection, *cursor, u32::try_from(*max).unwrap()).await {
                Err(ReadError::OtherPast { .. }) => None,
                read => Some(read.unwrap()),
            };
            format!("{read:?}")
        }
        Step::Head(cursor) => {
            let head = read_head(&mut connection).await.unwrap();
            format!("{head:?} {}", is_head(&mut connection, *cursor).await.unwrap())
        }
        Step::Move(from, to) => format!("{:?}", move_cursor(&mut connection, *from, *to).await),
        Step::Hold(position) => {
            let (turn, _) = WritersTurn::open(connection, None, None).await.unwrap();
            connection = turn.hold(&hold(*position)).await.unwrap();
            String::new()
        }
        Step::Lift { accept } => {
            let mut turn = Turn::open(connection).await.unwrap();
            if *accept {
                turn.accept_loss(Position::new(1), Position::new(2)).await.unwrap();
            }
            turn.lift_hold().await.unwrap();
            connection = turn.commit().await.unwrap();
            String::new()
        }
        Step::Lock(head, entries) => {
            let (back, said) = real_lock(ledger, connection, *head, &records(entries)).await;
            connection = back;
            said
        }
    };
    (connection, said)
}

async fn move_cursor(connection: &mut PgConnection, from: Cursor, to: Cursor) -> Projected {
    let reply: String = sqlx::query_scalar("select ledger.move_cursor($1, $2, $3, $4)")
        .bind(NAME)
        .bind(from.position().to_i64())
        .bind(to.position().to_i64())
        .bind(to.id())
        .fetch_one(connection)
        .await
        .unwrap();
    match reply.as_str() {
        "moved" => Projected::Moved,
        "cursor" => Projected::CursorElsewhere,
        "log" => Projected::NotInLog,
        other => panic!("{other}"),
    }
}

fn records(entries: &[std::sync::Arc<vtid_ledger::log::entry::Entry>]) -> Vec<&Recorded> {
    entries.iter().map(|entry| &entry.recorded).collect()
}

fn hold(position: Position) -> Hold {
    Hold::at(position, format!("at {position}"))
}

fn latest(any_time: bool) -> LatestTime {
    // The steps' times lie days before now, or hours after it.
    let now = vtid_ledger::clock::Clock::system().now();
    LatestTime(if any_time { Timestamp::MAX } else { Timestamp::from_millis(now.millis() + 60_000) })
}

/// As the writer takes it.
fn meaning(reply: Result<AppendReply, sqlx::Error>) -> Result<(), Failure> {
    let error = match reply {
        Ok(AppendReply::Appended) => return Ok(()),
        Ok(AppendReply::NotTheHead) => return Err(Failure::NotTheHead),
        Ok(AppendReply::Held) => return Err(Failure::Held),
        Ok(AppendReply::TimeRefused) => return Err(Failure::TimeRefused),
        Err(error) => error,
    };
    let error = error.as_database_error().unwrap().downcast_ref::<PgDatabaseError>();
    Err(match (error.code(), error.constraint()) {
        ("23505", Some("event_position")) => Failure::NotTheHead,
        ("23505", _) | (_, Some("event_follows_predecessor")) => Failure::Conflict,
        ("23514", Some("no_poison")) => Failure::Refused,
        other => panic!("{other:?}"),
    })
}

#[tokio::test]
async fn the_model_of_the_log_replies_as_postgres_does() {
    let ledger = ledger().await;
    let mut connection = ledger.connection().await;
    let constraint = "alter table ledger.event add constraint no_poison check (body not like '%poison%')";
    sqlx::raw_sql(constraint).execute(&mut connection).await.unwrap();
    let mut database = Database::new(LogModel::new(TAIL_EVENTS, Some("poison")), latest(false));
    let mut steps = Steps::new(Rng::with_seed(9));
    let mut copied = None;
    let mut kinds: BTreeMap<String, u32> = BTreeMap::new();
    for n in 0..STEPS {
        let step = steps.next(&database);
        let told = model(&mut database, &step);
        let said;
        (connection, said) = real(&ledger, connection, &step).await;
        assert_eq!(told, said, "step {n}: {step:?}");
        *kinds.entry(kind(&step, &said)).or_default() += 1;
        if n % 150 == 60 {
            connection.close().await.unwrap();
            copied = Some((ledger.database().copy().await, database.clone()));
            connection = ledger.connection().await;
        } else if n % 150 == 130
            && let Some((copy, older)) = copied.take()
        {
            connection.close().await.unwrap();
            ledger.database().put_back(&copy).await;
            database = older;
            connection = ledger.connection().await;
        }
    }
    println!("{kinds:#?}");
    for kind in KINDS {
        assert!(kinds.contains_key(*kind), "{kind} never came to pass");
    }
}

/// What a reply amounts to.
fn kind(step: &Step, reply: &str) -> String {
    let told =
        |words: &[&'static str]| words.iter().find(|word| reply.contains(**word)).copied().unwrap_or("else");
    match step {
        Step::Append { .. } => format!("append {reply}"),
        Step::Turn { .. } => {
            let view = told(&["OtherPast", "FarBehind", "Moved([])", "Moved"]);
            let closed = told(&["Some(Ok", "Some(Err"]);
            format!("turn {view} {closed}")
        }
        Step::Load(..) => "load".to_owned(),
        Step::Read(..) => format!("read {}", told(&["None", "Some([])", "Some"])),
        Step::Head(..) => format!("head {}", told(&["true", "false"])),
        Step::Move(..) => format!("cursor {reply}"),
        Step::Hold(_) => "hold".to_owned(),
        Step::Lift { accept } => format!("lift, loss accepted: {accept}"),
        Step::Lock(..) => format!("lock {reply}"),
    }
}
