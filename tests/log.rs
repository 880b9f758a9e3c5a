//! The event log: numbering, immutability, what the database itself refuses, groups, followers.

use std::collections::BTreeSet;

use futures::future::join_all;
use sqlx::{Executor, PgConnection, Row};
use vtid_ledger::domain::cursor::Cursor;
use vtid_ledger::domain::position::Position;
use vtid_ledger::domain::record::Recorded;
use vtid_ledger::log::read::{ReadError, read_after};
use vtid_ledger::writer::answer::WriteError;

use crate::support::commands::{create, patch, some_create};
use crate::support::ledger::ByHand;
use crate::support::{eventually, ledger};

async fn all_events(connection: &mut PgConnection) -> Vec<Recorded> {
    let mut events = Vec::new();
    loop {
        let cursor = events.last().map_or(Cursor::Start, |last: &Recorded| Cursor::at(&last.event));
        let more = read_after(connection, cursor, 500).await.unwrap();
        if more.is_empty() {
            return events;
        }
        events.extend(more);
    }
}

#[tokio::test]
async fn two_writers_share_one_log_without_a_gap() {
    let ledger = ledger().await;
    let writers = [ledger.writer(&ledger.log().await), ledger.writer(&ledger.log().await)];
    let creates = (0..600).map(|n| {
        let writer = writers[n % 2].clone();
        async move { writer.submit(some_create(&format!("task {n}"))).await.unwrap().task }
    });
    let answered = join_all(creates).await;
    let numbers: BTreeSet<u64> = answered.iter().map(|task| task.vtid.number()).collect();
    assert_eq!(numbers, (1..=600).collect(), "each number once");
    let events = all_events(&mut ledger.connection().await).await;
    let positions: Vec<u64> = events.iter().map(|recorded| recorded.event.position.get()).collect();
    assert_eq!(positions, (1..=600).collect::<Vec<_>>());
    assert!(events.is_sorted_by_key(|recorded| recorded.event.recorded_at), "times never run backwards");
    for task in answered {
        let event = &events[usize::try_from(task.position.get()).unwrap() - 1].event;
        assert_eq!((event.vtid, event.id), (task.vtid, task.id), "an answer names its own event");
    }
}

#[tokio::test]
async fn records_come_back_byte_for_byte() {
    let ledger = ledger().await;
    let log = ledger.log().await;
    let mut follower = log.follow(Cursor::Start);
    let writer = ledger.writer(&log);
    let body = r#"{"taskFamily":"a\"\\b","taskType":"🚀","description":"x\n\ty","tenant":"t","metadata":{"zz":1e3,"a":[0.10,null,{"é":"\u0001"}]}}"#;
    let task = writer.submit(create(body)).await.unwrap().task;
    let handed_over = follower.next().await.unwrap();
    let stored: String = sqlx::query_scalar("select body from ledger.event")
        .fetch_one(&mut ledger.connection().await)
        .await
        .unwrap();
    assert_eq!(*handed_over[0].recorded.body, *stored);
    let id = log.ledger().0;
    let (event, time) = (task.id, task.created_at);
    assert_eq!(
        stored,
        format!(
            r#"{{"specversion":"1.0","id":"{event}","source":"/vtid-ledger/{id}","type":"vtid-created","subject":"{vtid}","time":"{time}","datacontenttype":"application/json","position":"1","streamversion":"1","tenant":"t","actor":"anonymous","actorrole":"service_role","correlationid":"create","data":{{"taskFamily":"a\"\\b","taskType":"🚀","description":"x\n\ty","tenant":"t","metadata":{{"zz":1000,"a":[0.10,null,{{"é":"\u0001"}}]}}}}}}"#,
            vtid = task.vtid,
        )
    );
    assert_eq!(Recorded::parse(stored.as_str().into()).unwrap(), handed_over[0].recorded);
}

#[tokio::test]
async fn nobody_changes_or_removes_an_event() {
    let ledger = ledger().await;
    ledger.writer(&ledger.log().await).submit(some_create("kept")).await.unwrap();
    let mut owner = ledger.connection().await;
    for statement in [
        "update ledger.event set tenant = 'other'",
        "update ledger.event set body = body where false",
        "delete from ledger.event",
        "delete from ledger.event where false",
        "truncate ledger.event",
        "truncate ledger.event cascade",
        "set session_replication_role = replica; delete from ledger.event",
    ] {
        let error = owner.execute(sqlx::raw_sql(statement)).await.unwrap_err();
        let error = error.as_database_error().unwrap();
        assert!(error.message().starts_with("ledger.event is immutable"), "{statement}: {error}");
        owner = ledger.connection().await;
    }
    assert_eq!(all_events(&mut owner).await.len(), 1);
}

#[tokio::test]
async fn the_database_holds_each_version_to_the_one_before() {
    let ledger = ledger().await;
    ledger.writer(&ledger.log().await).submit(some_create("first")).await.unwrap();
    let mut owner = ledger.connection().await;
    let update = ByHand { base: 1, position: 2, version: 2, kind: "vtid-updated", vtid: None, tenant: None };
    for (event, constraint) in [
        (ByHand { version: 3, ..update }, "event_follows_predecessor"),
        (ByHand { tenant: Some("other"), ..update }, "event_follows_predecessor"),
        (ByHand { version: 0, ..update }, "event_version_counts_from_one"),
        (ByHand { version: 1, ..update }, "event_version"),
        (
            ByHand { position: 1, version: 1, kind: "vtid-created", vtid: Some("VTID-2026-0009"), ..update },
            "event_position",
        ),
    ] {
        let error = event.append(&mut owner).await.unwrap_err();
        let named = error.as_database_error().and_then(sqlx::error::DatabaseError::constraint);
        assert_eq!(named, Some(constraint), "{error}");
    }
    update.append(&mut owner).await.unwrap();
    // Two versions in one statement, in the wrong order.
    let reversed = owner
        .execute(
            "insert into ledger.event
             select e.* from (values (3, 4), (4, 3)) new (p, v),
                 lateral pg_temp.by_hand(1, p, v, 'vtid-updated', null, null) e",
        )
        .await
        .unwrap_err();
    let named = reversed.as_database_error().and_then(sqlx::error::DatabaseError::constraint);
    assert_eq!(named, Some("event_follows_predecessor"), "version 4 before version 3");
}

#[tokio::test]
async fn a_task_is_patched_200_times_in_one_group_and_created_and_patched_in_one() {
    let ledger = ledger().await;
    let writer = ledger.writer(&ledger.log().await);
    let vtid = writer.submit(some_create("patched")).await.unwrap().task.vtid;
    let patches = (0..200).map(|n| writer.submit(patch(vtid, &format!(r#"{{"metadata":{{"n{n}":{n}}}}}"#))));
    for (n, answer) in join_all(patches).await.into_iter().enumerate() {
        assert_eq!(answer.unwrap().task.version.get(), n as u64 + 2, "in the order in which they came");
    }
    // Whoever guesses the next number can patch it in the very group that creates it.
    let next = vtid.next();
    let (made, after) = tokio::join!(
        writer.submit(some_create("guessed")),
        writer.submit(patch(next, r#"{"status":"active"}"#))
    );
    assert_eq!(made.unwrap().task.vtid, next);
    assert_eq!(after.unwrap().task.version.get(), 2);
    let events = all_events(&mut ledger.connection().await).await;
    assert_eq!(events.len(), 203);
    let groups: i64 = sqlx::query("select count(distinct recorded_at) from ledger.event")
        .fetch_one(&mut ledger.connection().await)
        .await
        .unwrap()
        .get(0);
    assert!(groups < 100, "they were appended in groups: {groups}");
}

#[tokio::test]
async fn a_command_that_the_database_refuses_fails_alone() {
    let ledger = ledger().await;
    let mut owner = ledger.connection().await;
    owner
        .execute("alter table ledger.event add constraint no_poison check (body not like '%poison%')")
        .await
        .unwrap();
    let writer = ledger.writer(&ledger.log().await);
    let creates = (0..50).map(|n| {
        let description = if n % 17 == 3 { format!("poison {n}") } else { format!("food {n}") };
        let writer = writer.clone();
        async move { (n, writer.submit(some_create(&description)).await) }
    });
    for (n, answer) in join_all(creates).await {
        if n % 17 == 3 {
            assert_eq!(answer.unwrap_err(), WriteError::Internal, "create {n}");
        } else {
            answer.unwrap_or_else(|error| panic!("create {n}: {error}"));
        }
    }
    let numbers: Vec<u64> = all_events(&mut owner).await.iter().map(|e| e.event.vtid.number()).collect();
    assert_eq!(numbers, (1..=47).collect::<Vec<_>>(), "without a gap where one was refused");
}

#[tokio::test]
async fn a_follower_sees_every_event_once_while_many_append() {
    let ledger = ledger().await;
    // The follower's process hands over nothing: it reads; the writers' processes hand over to themselves.
    let reader = ledger.log().await;
    let own = ledger.log().await;
    let writers = [ledger.writer(&own), ledger.writer(&ledger.log().await)];
    let count = 1000;
    let appending = tokio::spawn(async move {
        join_all((0..count).map(|n| writers[n % 2].submit(some_create("followed")))).await
    });
    for log in [reader, own] {
        let mut follower = log.follow(Cursor::Start);
        let mut seen = 0;
        while seen < count as u64 {
            for entry in follower.next().await.unwrap() {
                seen += 1;
                assert_eq!(entry.position().get(), seen);
            }
        }
    }
    assert!(appending.await.unwrap().iter().all(Result::is_ok));
}

#[tokio::test]
async fn a_follower_that_remembers_another_past_is_told_so() {
    let ledger = ledger().await;
    let log = ledger.log().await;
    let writer = ledger.writer(&log);
    writer.submit(some_create("one")).await.unwrap();
    let phantom = Cursor::At { position: Position::new(1), id: uuid::Uuid::from_u128(7) };
    let beyond = Cursor::At { position: Position::new(9), id: uuid::Uuid::from_u128(7) };
    for cursor in [phantom, beyond] {
        let answer = log.follow(cursor).next().await;
        assert!(matches!(answer, Err(ReadError::OtherPast { .. })), "{cursor:?}: {answer:?}");
    }
}

#[tokio::test]
async fn a_notification_wakes_the_followers_of_other_processes() {
    let ledger = ledger().await;
    let elsewhere = ledger.log().await;
    let stop = tokio_util::sync::CancellationToken::new();
    let listening = tokio::spawn(vtid_ledger::log::listen::listen(
        elsewhere.clone(),
        ledger.writer_options().database,
        tokio::sync::watch::Sender::default(),
        stop.clone(),
    ));
    let log = ledger.log().await;
    let notifying = tokio::spawn(vtid_ledger::log::notify::notify(
        log.clone(),
        ledger.writer_options().database,
        stop.clone(),
    ));
    let writer = ledger.writer(&log);
    eventually("a position is heard of", async || {
        writer.submit(some_create("heard")).await.unwrap();
        (elsewhere.heard().borrow().get() > 0).then_some(())
    })
    .await;
    stop.cancel();
    listening.await.unwrap();
    notifying.await.unwrap();
}
