//! A forged event goes nowhere, whoever forged it: the rule stands in the log itself.

use sqlx::{Connection, PgConnection};
use uuid::Uuid;
use vtid_ledger::domain::origin::{Actor, Origin, Role};
use vtid_ledger::domain::text::{ActorId, Tenant};

use super::WRITER;
use crate::support::commands::{origin, patch, some_create};
use crate::support::ledger;

/// An event to be, in what the rule looks at. The tasks before it: 1, created by `ann` of `globex` for `acme`, at position 1;
/// 2, created by her as complete, at position 2.
#[derive(Clone, Copy)]
struct Forged {
    why: &'static str,
    position: i64,
    task: i32,
    version: i64,
    kind: &'static str,
    tenant: &'static str,
    actor: &'static str,
    role: &'static str,
    actor_tenant: Option<&'static str>,
    data: &'static str,
}

/// What completes task 2, as it should be.
const COMPLETION: Forged = Forged {
    why: "the completion of a task created as complete",
    position: 3,
    task: 2,
    version: 2,
    kind: "vtid-completed",
    tenant: "acme",
    actor: "ann",
    role: "authenticated",
    actor_tenant: Some("globex"),
    data: "{}",
};
const PATCH: Forged =
    Forged { why: "a patch", task: 1, kind: "vtid-updated", data: r#"{"status":"active"}"#, ..COMPLETION };
const CREATE: Forged = Forged { why: "a create", task: 3, version: 1, kind: "vtid-created", ..COMPLETION };

const GOOD: [Forged; 7] = [
    COMPLETION,
    CREATE,
    Forged { why: "a create by somebody without a tenant", actor_tenant: None, ..CREATE },
    Forged { why: "a patch within the own tenant", actor_tenant: Some("acme"), ..PATCH },
    Forged { why: "a patch by an admin", role: "admin", ..PATCH },
    Forged { why: "a patch by a service", role: "service_role", actor_tenant: None, ..PATCH },
    Forged {
        why: "a completion within the own tenant",
        actor: "bob",
        actor_tenant: Some("acme"),
        task: 1,
        ..COMPLETION
    },
];

const RULE: &str = "event_actor_may";
const KIND: &str = "event_completes_its_create";
const SAME_TENANT: &str = "event_follows_predecessor";

/// What is refused, and by what.
const BAD: [(Forged, &str); 22] = [
    (Forged { why: "another tenant", ..PATCH }, RULE),
    (Forged { why: "no tenant at all", actor_tenant: None, ..PATCH }, RULE),
    (Forged { why: "an empty tenant", actor_tenant: Some(""), ..PATCH }, RULE),
    (Forged { why: "a patch by who created it as complete", task: 2, ..PATCH }, RULE),
    (Forged { why: "a create at a later version", task: 1, version: 2, ..CREATE }, RULE),
    (Forged { why: "no create at version 1", kind: "vtid-updated", ..CREATE }, RULE),
    (Forged { why: "a completion at version 1", kind: "vtid-completed", ..CREATE }, RULE),
    (Forged { why: "a role that may only read", role: "anon", ..CREATE }, RULE),
    (Forged { why: "a role that nobody knows", role: "root", ..CREATE }, RULE),
    (Forged { why: "a role in capitals", role: "ADMIN", ..CREATE }, RULE),
    (Forged { why: "no role", role: "", actor_tenant: Some("acme"), ..CREATE }, RULE),
    (
        Forged {
            why: "an unknown role in its own tenant",
            role: "root",
            actor_tenant: Some("acme"),
            ..PATCH
        },
        RULE,
    ),
    (Forged { why: "an unknown role that completes its create", role: "root", ..COMPLETION }, KIND),
    (Forged { why: "the task moved to the own tenant", tenant: "globex", ..PATCH }, SAME_TENANT),
    (Forged { why: "a completion moved to the own tenant", tenant: "globex", ..COMPLETION }, SAME_TENANT),
    (Forged { why: "a task not created as complete", task: 1, ..COMPLETION }, KIND),
    (Forged { why: "not right after its create", position: 4, ..COMPLETION }, KIND),
    (Forged { why: "by somebody else", actor: "bob", ..COMPLETION }, KIND),
    (Forged { why: "by her of another tenant", actor_tenant: Some("initech"), ..COMPLETION }, KIND),
    (Forged { why: "by her without a tenant", actor_tenant: None, ..COMPLETION }, KIND),
    (Forged { why: "it brings a patch", data: r#"{"assignedTo":"ann"}"#, ..COMPLETION }, KIND),
    (Forged { why: "it brings no data", data: "null", ..COMPLETION }, KIND),
];

/// Both ways into the log. The second takes arrays of one, and the head before the event.
const INSERT: &str = "insert into ledger.event
        (position, event_id, vtid, version, type, tenant, actor, actor_role, actor_tenant, recorded_at, body)
     values ($1, $10, $2, $3, $4, $5, $6, $7, $8, $11::timestamptz, $9)";
const APPEND: &str = "select ledger.append(
        $1 - 1, (select event_id from ledger.event where position = $1 - 1), 0, 60000, array[$10], array[$2],
        array[$3], array[$4], array[$5], array[$6], array[$7], array[$8], array[null], array[null], array[$11::timestamptz],
        array[$9])";
const TIME: &str = "2026-01-01T00:00:00.000Z";

impl Forged {
    /// Tries it, in a transaction that is rolled back: the constraint that refuses it, if one does.
    async fn attempt(self, writer: &mut PgConnection, way: &'static str) -> Result<(), String> {
        let mut transaction = writer.begin().await.unwrap();
        let done = self.insert(&mut transaction, way).await;
        transaction.rollback().await.unwrap();
        done.map_err(|error| {
            let constraint = error.as_database_error().and_then(sqlx::error::DatabaseError::constraint);
            constraint.unwrap_or_else(|| panic!("{}: {error}", self.why)).to_owned()
        })
    }

    async fn insert(self, writer: &mut PgConnection, way: &'static str) -> Result<(), sqlx::Error> {
        self.insert_with(writer, way, |_| {}).await
    }

    /// In the form of a record, with what the columns say.
    fn record(self, id: Uuid) -> String {
        let Self { position, task, version, kind, tenant, actor, role, data, .. } = self;
        let source = Uuid::nil();
        let actor_tenant =
            self.actor_tenant.map_or(String::new(), |tenant| format!(r#""actortenant":"{tenant}","#));
        format!(
            r#"{{"specversion":"1.0","id":"{id}","source":"/vtid-ledger/{source}","type":"{kind}","subject":"VTID-2026-000{task}","time":"{TIME}","datacontenttype":"application/json","position":"{position}","streamversion":"{version}","tenant":"{tenant}","actor":"{actor}","actorrole":"{role}",{actor_tenant}"correlationid":"asked","data":{data}}}"#
        )
    }

    /// With a record in which `lie` changes something.
    async fn insert_with(
        self,
        writer: &mut PgConnection,
        way: &'static str,
        lie: impl FnOnce(&mut String),
    ) -> Result<(), sqlx::Error> {
        let id = Uuid::new_v4();
        let mut record = self.record(id);
        lie(&mut record);
        sqlx::query(way)
            .bind(self.position)
            .bind(format!("VTID-2026-000{}", self.task))
            .bind(self.version)
            .bind(self.kind)
            .bind(self.tenant)
            .bind(self.actor)
            .bind(self.role)
            .bind(self.actor_tenant)
            .bind(record)
            .bind(id)
            .bind(TIME)
            .execute(writer)
            .await
            .map(drop)
    }
}

#[tokio::test]
async fn a_forged_event_goes_nowhere() {
    let ledger = ledger().await;
    let mut writer = ledger.connection().await;
    sqlx::query(sqlx::AssertSqlSafe(format!("set role {WRITER}"))).execute(&mut writer).await.unwrap();
    let pending = Forged { position: 1, task: 1, ..CREATE };
    let complete = Forged { position: 2, task: 2, data: r#"{"status":"complete"}"#, ..CREATE };
    for (task, way) in [(pending, INSERT), (complete, APPEND)] {
        task.insert(&mut writer, way).await.unwrap();
    }
    for way in [INSERT, APPEND] {
        for event in GOOD {
            assert_eq!(event.attempt(&mut writer, way).await, Ok(()), "{}: {way}", event.why);
        }
        for (event, constraint) in BAD {
            // Nothing stands before a position that is left out: no head, no append.
            if way == INSERT || event.position == 3 {
                assert_eq!(
                    event.attempt(&mut writer, way).await,
                    Err(constraint.to_owned()),
                    "{}: {way}",
                    event.why
                );
            }
        }
    }
    // Further ones stand on the completion.
    COMPLETION.insert(&mut writer, APPEND).await.unwrap();
    for kind in ["vtid-completed", "vtid-updated"] {
        let later = Forged { position: 4, version: 3, kind, why: "version 3", ..COMPLETION };
        assert_eq!(later.attempt(&mut writer, INSERT).await, Err(RULE.to_owned()), "{kind}");
    }
}

/// Whoever reads the log reads the records: one can't say what its columns, which the rule is about, do not.
#[tokio::test]
async fn a_record_says_what_its_columns_say() {
    let ledger = ledger().await;
    let mut writer = ledger.connection().await;
    sqlx::query(sqlx::AssertSqlSafe(format!("set role {WRITER}"))).execute(&mut writer).await.unwrap();
    let good = Forged { position: 1, task: 1, ..CREATE };
    // What stands in the record, and what it says instead.
    let lies = [
        (r#"":"1.0","id":"#.to_owned(), r#"":"1.0","id":"x","was":"#.to_owned()),
        (r#""type":"vtid-created""#.to_owned(), r#""type":"vtid-updated""#.to_owned()),
        ("VTID-2026-0001".to_owned(), "VTID-2026-0002".to_owned()),
        ("00.000Z".to_owned(), "00.001Z".to_owned()),
        (r#""position":"1""#.to_owned(), r#""position":"2""#.to_owned()),
        (r#""streamversion":"1""#.to_owned(), r#""streamversion":"2""#.to_owned()),
        (r#""tenant":"acme""#.to_owned(), r#""tenant":"globex""#.to_owned()),
        (r#""actor":"ann""#.to_owned(), r#""actor":"bob""#.to_owned()),
        (r#""actorrole":"authenticated""#.to_owned(), r#""actorrole":"admin""#.to_owned()),
        (r#""actortenant":"globex""#.to_owned(), r#""actortenant":"acme""#.to_owned()),
        (r#""actortenant":"globex","#.to_owned(), String::new()),
        // The ledger's id is anybody's, but no more than an id: not the beginning of another record.
        (Uuid::nil().to_string(), r#"x","type":"vtid-updated","source":"y""#.to_owned()),
        (Uuid::nil().to_string(), r#"x","type":"vtid-updated","was":"yyy"#.to_owned()),
        // An id in its one spelling, of a ledger.
        (Uuid::nil().to_string(), Uuid::nil().braced().to_string()),
        (Uuid::nil().to_string(), Uuid::nil().simple().to_string()),
        ("/vtid-ledger/".to_owned(), "/ctid-ledger/".to_owned()),
    ];
    let is_refused = async |writer: &mut PgConnection, way, lie: &dyn Fn(&mut String)| {
        let mut transaction = writer.begin().await.unwrap();
        let told = good.insert_with(&mut transaction, way, lie).await.unwrap_err();
        transaction.rollback().await.unwrap();
        let constraint = told.as_database_error().and_then(sqlx::error::DatabaseError::constraint);
        assert_eq!(constraint, Some("event_record_says_the_same"), "{told}");
    };
    for way in [INSERT, APPEND] {
        for (said, lie) in &lies {
            is_refused(&mut writer, way, &|record: &mut String| {
                assert!(record.contains(said), "{said}: {record}");
                *record = record.replacen(said, lie, 1);
            })
            .await;
        }
        for body in ["{}", "[]", "no JSON", r#"{"data":{}}"#] {
            is_refused(&mut writer, way, &|record: &mut String| body.clone_into(record)).await;
        }
        // What a caller can choose stands behind: it can't say it all once more, in front.
        is_refused(&mut writer, way, &|record: &mut String| *record = format!(r#"{{"data":{record}}}"#))
            .await;
    }
    good.insert(&mut writer, APPEND).await.unwrap();
}

/// Nor does a session's search path put other operators under the rule.
#[tokio::test]
async fn the_rule_calls_what_it_was_written_with() {
    let ledger = ledger().await;
    let mut owner = ledger.connection().await;
    Forged { position: 1, task: 1, ..CREATE }.insert(&mut owner, INSERT).await.unwrap();
    sqlx::raw_sql(
        "create schema mine;
         create function mine.always(text, text) returns boolean language sql immutable as 'select true';
         create operator mine.= (leftarg = text, rightarg = text, function = mine.always);
         set search_path = mine, pg_catalog, public",
    )
    .execute(&mut owner)
    .await
    .unwrap();
    let moved = Forged { position: 2, tenant: "globex", ..PATCH };
    assert_eq!(moved.attempt(&mut owner, INSERT).await, Err(SAME_TENANT.to_owned()));
}

/// The owner, too, is held to it, and so is a session in replication mode, where ordinary triggers do not fire.
#[tokio::test]
async fn the_owner_forges_nothing_either() {
    let ledger = ledger().await;
    let mut owner = ledger.connection().await;
    Forged { position: 1, task: 1, ..CREATE }.insert(&mut owner, INSERT).await.unwrap();
    sqlx::raw_sql("set session_replication_role = replica").execute(&mut owner).await.unwrap();
    let patch = Forged { position: 2, ..PATCH };
    assert_eq!(patch.attempt(&mut owner, INSERT).await, Err(RULE.to_owned()));
    let completion = Forged { position: 2, task: 1, ..COMPLETION };
    assert_eq!(completion.attempt(&mut owner, INSERT).await, Err(KIND.to_owned()));
}

/// Who asks as somebody of `tenant`.
fn somebody(tenant: &str) -> Origin {
    let actor = Actor {
        id: ActorId::parse("ann").unwrap(),
        role: Role::Authenticated,
        tenant: Some(Tenant::parse(tenant).unwrap()),
    };
    Origin { actor, ..origin("asked") }
}

/// Whoever refuses it first, a command of another tenant's caller changes nothing, and its neighbours go on.
#[tokio::test]
async fn a_writer_that_does_not_know_the_rule_is_stopped_by_the_log() {
    let ledger = ledger().await;
    let writer = ledger.writer(&ledger.log().await);
    let mut create = some_create("of the tenant system");
    create.origin = somebody("globex");
    let vtid = writer.submit(create).await.unwrap().task.vtid;
    let ask = |tenant| {
        let mut command = patch(vtid, r#"{"status":"active"}"#);
        command.origin = somebody(tenant);
        writer.submit(command)
    };
    let (foreign, own, another) =
        tokio::join!(ask("globex"), ask("system"), writer.submit(some_create("another")));
    assert!(foreign.is_err(), "{foreign:?}");
    assert_eq!(own.unwrap().task.version.get(), 2);
    another.unwrap();
    let events: i64 = sqlx::query_scalar("select count(*) from ledger.event")
        .fetch_one(&mut ledger.connection().await)
        .await
        .unwrap();
    assert_eq!(events, 3);
}
