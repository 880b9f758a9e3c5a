//! What a test knows of the ledger's past: the stored records, and their folds.

use std::collections::BTreeMap;
use std::sync::Arc;

use futures::future::join_all;
use serde::Deserialize;
use serde_json::value::RawValue;
use sqlx::PgConnection;
use vtid_ledger::domain::evolve::evolve;
use vtid_ledger::domain::record::Recorded;
use vtid_ledger::domain::row::write_row;
use vtid_ledger::domain::task::Task;
use vtid_ledger::domain::vtid::Vtid;

use super::service::{Answer, Service, some_task};

/// The tasks after some event.
pub(crate) type Tasks = BTreeMap<Vtid, Task>;

/// Every record, in order, as it is stored.
pub(crate) async fn bodies(connection: &mut PgConnection) -> Vec<String> {
    sqlx::query_scalar("select body from ledger.event order by position").fetch_all(connection).await.unwrap()
}

/// Each record with a line feed.
pub(crate) fn lines(bodies: &[String]) -> String {
    bodies.iter().flat_map(|body| [body.as_str(), "\n"]).collect()
}

pub(crate) fn parsed(bodies: &[String]) -> Vec<Recorded> {
    bodies.iter().map(|body| Recorded::parse(Arc::from(body.as_str())).unwrap()).collect()
}

/// The tasks after each position, from zero on.
pub(crate) fn folds(log: &[Recorded]) -> Vec<Tasks> {
    let mut folds = vec![Tasks::new()];
    for Recorded { event, .. } in log {
        let mut tasks = folds.last().unwrap().clone();
        let before = tasks.remove(&event.vtid);
        tasks.insert(event.vtid, evolve(before, event).unwrap());
        folds.push(tasks);
    }
    folds
}

pub(crate) fn row(task: &Task) -> String {
    let mut text = String::new();
    write_row(task, &mut text);
    text
}

/// An answer with one task. Its row is kept as text, for it may hold numbers that no float can.
pub(crate) fn row_of(answer: &Answer) -> String {
    #[derive(Deserialize)]
    struct One<'a> {
        #[serde(borrow)]
        data: &'a RawValue,
    }
    serde_json::from_str::<One>(&answer.text).unwrap().data.get().to_owned()
}

/// A page, whose things are kept as text: they may have keys that the JSON library takes for its own.
#[derive(Deserialize)]
struct Page<'a> {
    count: usize,
    next_cursor: Option<String>,
    #[serde(borrow)]
    data: Vec<&'a RawValue>,
}

/// The things of a page, as they are written.
pub(crate) fn page_of(answer: &Answer) -> Vec<String> {
    let page: Page = serde_json::from_str(&answer.text).unwrap();
    assert_eq!(page.count, page.data.len());
    page.data.into_iter().map(|thing| thing.get().to_owned()).collect()
}

/// The pages of a walk by `next_cursor`, from the first one on; `path` has a query already.
pub(crate) async fn walk(service: &Service, path: &str) -> Vec<Answer> {
    let mut pages = Vec::new();
    let mut cursor = String::new();
    loop {
        let page = service.get(&format!("{path}{cursor}")).await.expect(200);
        let next = serde_json::from_str::<Page>(&page.text).unwrap().next_cursor;
        let next = next.map(|next| format!("&cursor={next}"));
        pages.push(page);
        match next {
            Some(next) => cursor = next,
            None => return pages,
        }
    }
}

/// So many creates like any other, some at a time.
pub(crate) async fn create_many(service: &Service, count: usize) {
    for chunk in (0..count).collect::<Vec<_>>().chunks(50) {
        let creates = chunk.iter().map(|n| service.create(some_task(&format!("task {n}"))));
        join_all(creates).await.into_iter().for_each(|answer| drop(answer.expect(200)));
    }
}

/// Appends, past every writer, so many events after the first one, which is there: creates like it, of tasks with the
/// numbers that follow its own, each a millisecond after the one before.
pub(crate) async fn append_many(connection: &mut PgConnection, count: i64) {
    sqlx::query(
        r#"insert into ledger.event (
               position, event_id, vtid, version, type, tenant, actor, actor_role, actor_tenant, recorded_at, body
           )
           select n.position, n.id, n.vtid, 1, e.type, e.tenant, e.actor, e.actor_role, e.actor_tenant, n.time,
               replace(replace(replace(replace(
                   e.body, '"id":"' || e.event_id, '"id":"' || n.id), '"subject":"' || e.vtid, '"subject":"' || n.vtid),
                   '"position":"1"', '"position":"' || n.position || '"'),
                   to_char(e.recorded_at at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS'),
                   to_char(n.time at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS'))
           from ledger.event e cross join lateral (
               select position, gen_random_uuid() as id,
                   substr(e.vtid, 1, 10) || lpad(position::text, greatest(4, length(position::text)), '0') as vtid,
                   e.recorded_at + position * interval '1 millisecond' as time
               from generate_series(2, $1) position
           ) n
           where e.position = 1 order by n.position"#,
    )
    .bind(count + 1)
    .execute(connection)
    .await
    .unwrap();
}

/// Appends, past every writer, further versions of the task of the last event, which is a patch: patches like it, up to
/// `last`, each a millisecond after the one before.
pub(crate) async fn append_versions(connection: &mut PgConnection, last: u64) {
    sqlx::query(
        r#"insert into ledger.event (
               position, event_id, vtid, version, type, tenant, actor, actor_role, actor_tenant, recorded_at, body
           )
           select n.position, n.id, e.vtid, n.version, e.type, e.tenant, e.actor, e.actor_role, e.actor_tenant, n.time,
               replace(replace(replace(replace(
                   e.body, '"id":"' || e.event_id, '"id":"' || n.id),
                   '"streamversion":"' || e.version || '"', '"streamversion":"' || n.version || '"'),
                   '"position":"' || e.position || '"', '"position":"' || n.position || '"'),
                   to_char(e.recorded_at at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS'),
                   to_char(n.time at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS'))
           from (select * from ledger.event order by position desc limit 1) e cross join lateral (
               select version, e.position + version - e.version as position, gen_random_uuid() as id,
                   e.recorded_at + (version - e.version) * interval '1 millisecond' as time
               from generate_series(e.version + 1, $1) version
           ) n
           order by n.position"#,
    )
    .bind(i64::try_from(last).unwrap())
    .execute(connection)
    .await
    .unwrap();
}
