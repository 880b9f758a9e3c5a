//! The table role × statement: each read and write, under `SET ROLE` and with claims, and who may do it.

use sqlx::{AssertSqlSafe, Connection, PgConnection};

use super::{NO_RIGHT, PROJECTOR, READERS, WRITER, fingerprint};
use crate::support::service::{platform, some_task};

const NOBODY: &[&str] = &[];
const PARTS: &[&str] = &[WRITER, PROJECTOR];
const ALL_READERS: &[&str] = &[READERS[0], READERS[1], WRITER, PROJECTOR];
const READ_TABLE: &[&str] = &[READERS[0], READERS[1], PROJECTOR];

/// Each table, and who may read it.
const READS: [(&str, &[&str]); 10] = [
    (r#""VtidLedger""#, READ_TABLE),
    ("ledger.event", ALL_READERS),
    ("ledger.identity", ALL_READERS),
    ("ledger.accepted_loss", ALL_READERS),
    ("ledger.hold", PARTS),
    ("ledger.snapshot", PARTS),
    ("ledger.projection", PARTS),
    ("ledger._migrations", PARTS),
    ("ledger.progress", &[PROJECTOR]),
    ("ledger.lease", PARTS),
];

/// Everything else, and who may do it.
const WRITES: [(&str, &[&str]); 47] = [
    (
        r#"insert into "VtidLedger" values ('x', 'x', 'x', 'x', 'x', 'x', 'x', 'x', null, null, now(), now(), 1, 1, 1)"#,
        &[PROJECTOR],
    ),
    (r#"update "VtidLedger" set status = 'cancelled'"#, &[PROJECTOR]),
    (r#"update "VtidLedger" set tenant = tenant where false"#, &[PROJECTOR]),
    (r#"delete from "VtidLedger""#, &[PROJECTOR]),
    (r#"select vtid from "VtidLedger" for update"#, &[PROJECTOR]),
    (r#"truncate "VtidLedger""#, NOBODY),
    (r#"alter table "VtidLedger" disable row level security"#, NOBODY),
    (r#"alter table "VtidLedger" add column mine text"#, NOBODY),
    (r#"create policy mine on "VtidLedger" using (true)"#, NOBODY),
    (r#"create index on "VtidLedger" (vtid)"#, NOBODY),
    (r#"create rule mine as on update to "VtidLedger" do instead nothing"#, NOBODY),
    (r#"drop table "VtidLedger""#, NOBODY),
    (
        "insert into ledger.event (position, event_id, vtid, version, type, tenant, actor, actor_role, recorded_at, body)
         values (1000, '0a0a0a0a-0000-4000-8000-000000000001', 'VTID-2026-9999', 1, 'vtid-created', 'system', 'x', 'admin',
             '2026-01-01T00:00:00.000Z', concat('{\"specversion\":\"1.0\",\"id\":\"0a0a0a0a-0000-4000-8000-000000000001\",',
             '\"source\":\"/vtid-ledger/0a0a0a0a-0000-4000-8000-000000000001\",\"type\":\"vtid-created\",\"subject\":\"VTID-2026-9999\",',
             '\"time\":\"2026-01-01T00:00:00.000Z\",\"datacontenttype\":\"application/json\",\"position\":\"1000\",\"streamversion\":\"1\",',
             '\"tenant\":\"system\",\"actor\":\"x\",\"actorrole\":\"admin\",\"correlationid\":\"y\",\"data\":{}}'))",
        &[WRITER],
    ),
    ("update ledger.event set tenant = 'other'", NOBODY),
    ("update ledger.event set body = body where false", NOBODY),
    ("delete from ledger.event", NOBODY),
    ("delete from ledger.event where false", NOBODY),
    ("select position from ledger.event for update", NOBODY),
    ("truncate ledger.event", NOBODY),
    ("alter table ledger.event drop constraint event_actor_may", NOBODY),
    ("alter table ledger.event disable trigger all", NOBODY),
    ("drop trigger event_is_immutable on ledger.event", NOBODY),
    ("drop policy event_append on ledger.event", NOBODY),
    ("set session_replication_role = replica", NOBODY),
    ("insert into ledger.identity default values on conflict do nothing", NOBODY),
    ("update ledger.identity set ledger_id = gen_random_uuid()", NOBODY),
    ("insert into ledger.accepted_loss (number, first_position, last_position) values (1, 1, 1)", &[WRITER]),
    ("delete from ledger.accepted_loss", NOBODY),
    (
        "insert into ledger.hold (reason, position, last_position) values ('x', 1, 1)
         on conflict (only_row) do update set reason = 'x'",
        PARTS,
    ),
    ("delete from ledger.hold", &[WRITER]),
    (
        "insert into ledger.snapshot values ('x', 64, 64, 'x')
         on conflict (vtid, version) do update set state = excluded.state",
        &[PROJECTOR],
    ),
    ("delete from ledger.snapshot", NOBODY),
    ("insert into ledger.progress values ('x', 2, gen_random_uuid(), 1)", &[PROJECTOR]),
    ("update ledger.progress set position = position", NOBODY),
    ("delete from ledger.progress where name = 'x'", &[PROJECTOR]),
    ("update ledger.projection set mending_revision = 1, mended_to = ''", &[PROJECTOR]),
    ("update ledger.projection set schema_revision = 0", NOBODY),
    ("delete from ledger.projection", NOBODY),
    ("insert into ledger.lease values ('x', 1, 1, gen_random_uuid(), now())", PARTS),
    ("update ledger.lease set until = now()", NOBODY),
    ("delete from ledger.lease where name = 'x'", PARTS),
    ("delete from ledger._migrations", NOBODY),
    ("create table ledger.mine ()", NOBODY),
    ("create table public.mine ()", NOBODY),
    ("create function ledger.append_lock(int) returns bigint language sql as 'select 1::bigint'", NOBODY),
    ("drop schema ledger cascade", NOBODY),
    ("alter function ledger.append_lock() owner to current_user", NOBODY),
];

/// Each function of the schema, called so that it changes nothing, and who may.
const CALLS: [(&str, &[&str]); 10] = [
    ("select ledger.append_lock()", PARTS),
    ("select ledger.projection_lock('x')", &[PROJECTOR]),
    ("select ledger.append(0, null, 0, 0, '{}', '{}', '{}', '{}', '{}', '{}', '{}', '{}', '{}', '{}', '{}', '{}')", &[WRITER]),
    ("select pg_advisory_unlock(ledger.append_lock()) from ledger.take_turn(1000, 1, 0, null)", &[WRITER]),
    ("select ledger.move_cursor('vtid_ledger', 999, 1000, gen_random_uuid())", &[PROJECTOR]),
    ("select ledger.prune_progress('nothing', 1)", &[PROJECTOR]),
    ("select ledger.keep_lease('nothing', gen_random_uuid(), 1)", PARTS),
    ("select ledger.give_back_lease('nothing', gen_random_uuid(), 1)", PARTS),
    (
        "select ledger.write_vtid_ledger('{}', '{}', '{}', '{}', '{}', '{}', '{}', '{}', '{}', '{}', '{}', '{}', '{}', '{}', '{}')",
        &[PROJECTOR],
    ),
    (
        "select ledger.project_vtid_ledger('{}', '{}', '{}', '{}', '{}', '{}', '{}', '{}', '{}', '{}', '{}', '{}', '{}',
             '{}', '{}', '{}', '{}', '{}', '{}', 1, 999, 1000, gen_random_uuid())",
        &[PROJECTOR],
    ),
];

/// What a token would say; none of it gives a right, and none takes one.
const CLAIMS: [&str; 3] = [
    "",
    r#"{"sub":"u","role":"service_role","tenant":"system"}"#,
    r#"{"sub":"u","role":"anon","tenant":"other"}"#,
];

/// How a statement ended, in a transaction that is rolled back: the code of the error, if it was one.
async fn attempt(
    superuser: &mut PgConnection,
    role: &str,
    claims: &str,
    statement: &str,
) -> Result<(), String> {
    let begun = superuser.begin().await;
    let mut transaction = begun.unwrap_or_else(|error| panic!("before {statement} as {role}: {error}"));
    sqlx::raw_sql(AssertSqlSafe(format!("set local role {role}"))).execute(&mut *transaction).await.unwrap();
    sqlx::query("select set_config('request.jwt.claims', $1, true)")
        .bind(claims)
        .execute(&mut *transaction)
        .await
        .unwrap();
    let done = sqlx::raw_sql(AssertSqlSafe(statement)).execute(&mut *transaction).await.map(drop);
    transaction.rollback().await.unwrap();
    done.map_err(|error| {
        let code = error.as_database_error().and_then(sqlx::error::DatabaseError::code);
        code.unwrap_or_else(|| panic!("{statement} as {role}: {error}")).into_owned()
    })
}

/// Copying goes by the same rights. The driver can't go on with a connection on which it was refused.
async fn assert_copies(url: &str, role: &str, table: &str, may_read: bool) {
    let connection = async || {
        let mut connection = PgConnection::connect(url).await.unwrap();
        sqlx::raw_sql(AssertSqlSafe(format!("set role {role}"))).execute(&mut connection).await.unwrap();
        connection
    };
    let code = |error: sqlx::Error| {
        let code = error.as_database_error().and_then(sqlx::error::DatabaseError::code);
        code.unwrap_or_else(|| panic!("{role}, {table}: {error}")).into_owned()
    };
    let mut reading = connection().await;
    let out = reading.copy_out_raw(&format!("copy (select * from {table}) to stdout")).await;
    let out = out.map(drop).map_err(code);
    assert_eq!(out, if may_read { Ok(()) } else { Err(NO_RIGHT.to_owned()) }, "{role} copies {table}");
    if ["\"VtidLedger\"", "ledger.event"].contains(&table) {
        let mut writing = connection().await;
        let into = writing.copy_in_raw(&format!("copy {table} from stdin")).await.map(drop).map_err(code);
        // With row-level security there is no COPY FROM for those who may insert either.
        let refusals = [Err(NO_RIGHT.to_owned()), Err("0A000".to_owned())];
        assert!(refusals.contains(&into), "{role} copies into {table}: {into:?}");
    }
}

async fn assert_allowed(superuser: &mut PgConnection, role: &str, statement: &str, may: &[&str]) {
    let expected = if may.contains(&role) { Ok(()) } else { Err(NO_RIGHT.to_owned()) };
    for claims in CLAIMS {
        let ended = attempt(superuser, role, claims, statement).await;
        assert_eq!(ended, expected, "as {role}, with the claims {claims:?}: {statement}");
    }
}

/// Whoever may read a table sees every row of it.
async fn assert_sees_all(superuser: &mut PgConnection, role: &str, table: &str) {
    let count = format!("select count(*) from {table}");
    let all: i64 = sqlx::query_scalar(AssertSqlSafe(count.clone())).fetch_one(&mut *superuser).await.unwrap();
    let mut transaction = superuser.begin().await.unwrap();
    sqlx::raw_sql(AssertSqlSafe(format!("set local role {role}"))).execute(&mut *transaction).await.unwrap();
    let seen: i64 = sqlx::query_scalar(AssertSqlSafe(count)).fetch_one(&mut *transaction).await.unwrap();
    transaction.rollback().await.unwrap();
    assert_eq!(seen, all, "rows of {table} that {role} sees");
}

/// Goes through the whole table, on a ledger that has some events and rows. `url` is a superuser's, who may become every role.
pub(super) async fn assert_table(url: &str) {
    let superuser = &mut PgConnection::connect(url).await.unwrap();
    sqlx::raw_sql("do $$ begin create role some_other_role; exception when duplicate_object or unique_violation then null; end $$")
        .execute(&mut *superuser)
        .await
        .unwrap();
    let before = fingerprint(superuser).await;
    for role in [READERS[0], READERS[1], "anon", WRITER, PROJECTOR, "some_other_role"] {
        for (table, may) in READS {
            assert_allowed(superuser, role, &format!("select * from {table}"), may).await;
            assert_copies(url, role, table, may.contains(&role)).await;
            if may.contains(&role) {
                assert_sees_all(superuser, role, table).await;
            }
            assert_allowed(superuser, role, &format!("truncate {table}"), NOBODY).await;
        }
        for (statement, may) in WRITES.into_iter().chain(CALLS) {
            assert_allowed(superuser, role, statement, may).await;
        }
    }
    assert_eq!(fingerprint(superuser).await, before, "nothing was changed");
}

/// Every right that anybody but the owner has, to the letter: the object, and who may do what with it.
const RIGHTS: [&str; 31] = [
    "\"VtidLedger\": authenticated select; service_role select; vtid_ledger_projector delete, insert, select, update",
    "ledger._migrations: vtid_ledger_projector select; vtid_ledger_writer select",
    "ledger.accepted_loss: authenticated select; service_role select; vtid_ledger_projector select; vtid_ledger_writer insert, select",
    "ledger.append(): vtid_ledger_writer execute",
    "ledger.append_lock(): vtid_ledger_projector execute; vtid_ledger_writer execute",
    "ledger.audit_key: authenticated select; service_role select; vtid_ledger_projector select; vtid_ledger_writer insert, select",
    "ledger.check_completion(): vtid_ledger_writer execute",
    "ledger.checkpoint: authenticated select; service_role select; vtid_ledger_projector select; vtid_ledger_writer insert, select",
    "ledger.cosignature: authenticated select; service_role select; vtid_ledger_projector select; vtid_ledger_writer insert, select",
    "ledger.event: authenticated select; service_role select; vtid_ledger_projector select; vtid_ledger_writer insert, select",
    "ledger.give_back_lease(): vtid_ledger_projector execute; vtid_ledger_writer execute",
    "ledger.hold: vtid_ledger_projector insert, select, update; vtid_ledger_writer delete, insert, select, update",
    "ledger.identity: authenticated select; service_role select; vtid_ledger_projector select; vtid_ledger_writer select",
    "ledger.keep_lease(): vtid_ledger_projector execute; vtid_ledger_writer execute",
    "ledger.keep_tiles(): vtid_ledger_writer execute",
    "ledger.lease: vtid_ledger_projector delete, insert, select; vtid_ledger_writer delete, insert, select",
    "ledger.move_cursor(): vtid_ledger_projector execute",
    "ledger.progress: vtid_ledger_projector delete, insert, select",
    "ledger.project_vtid_ledger(): vtid_ledger_projector execute",
    "ledger.projection: vtid_ledger_projector select; vtid_ledger_writer select",
    "ledger.projection.mended_to: vtid_ledger_projector update",
    "ledger.projection.mending_revision: vtid_ledger_projector update",
    "ledger.projection.revision: vtid_ledger_projector update",
    "ledger.projection_lock(): vtid_ledger_projector execute",
    "ledger.prune_progress(): vtid_ledger_projector execute",
    "ledger.seal(): vtid_ledger_writer execute",
    "ledger.snapshot: vtid_ledger_projector insert, select, update; vtid_ledger_writer select",
    "ledger.take_turn(): vtid_ledger_writer execute",
    "ledger.tile: authenticated select; service_role select; vtid_ledger_projector select; vtid_ledger_writer insert, select",
    "ledger.write_vtid_ledger(): vtid_ledger_projector execute",
    "schema ledger: authenticated usage; service_role usage; vtid_ledger_projector usage; vtid_ledger_writer usage",
];

/// The policies of each table with row-level security.
const POLICIES: [&str; 2] = [
    "VtidLedger: vtid_ledger_keep all vtid_ledger_projector; vtid_ledger_read select authenticated, service_role",
    "event: event_append insert vtid_ledger_writer; event_read select authenticated, service_role, vtid_ledger_projector, vtid_ledger_writer",
];

/// No right is granted beside those that are meant, whatever a platform grants by default.
pub(super) async fn assert_rights(url: &str) {
    let mut superuser = PgConnection::connect(url).await.unwrap();
    let rights: Vec<String> = sqlx::query_scalar(
        r#"with object (name, owner, acl) as (
               select 'schema ' || n.nspname, n.nspowner, coalesce(n.nspacl, acldefault('n', n.nspowner))
               from pg_namespace n where n.nspname = 'ledger'
               union all
               select c.oid::regclass::text, c.relowner, coalesce(c.relacl, acldefault('r', c.relowner))
               from pg_class c where c.relkind in ('r', 'v', 'm', 'p', 'S')
                   and (c.relnamespace = 'ledger'::regnamespace or c.oid = '"VtidLedger"'::regclass)
               union all
               select a.attrelid::regclass || '.' || a.attname, c.relowner, a.attacl
               from pg_attribute a join pg_class c on c.oid = a.attrelid
               where c.relnamespace = 'ledger'::regnamespace or c.oid = '"VtidLedger"'::regclass
               union all
               select p.oid::regproc || '()', p.proowner, coalesce(p.proacl, acldefault('f', p.proowner))
               from pg_proc p where p.pronamespace = 'ledger'::regnamespace
           )
           select o.name || ': ' || string_agg(g.rights, '; ' order by g.rights collate "C")
           from object o cross join lateral (
               select coalesce(r.rolname, 'public') || ' ' || string_agg(lower(a.privilege_type), ', ' order by a.privilege_type)
               from aclexplode(o.acl) a left join pg_roles r on r.oid = a.grantee
               where a.grantee <> o.owner group by r.rolname
           ) g (rights)
           group by o.name order by o.name collate "C""#,
    )
    .fetch_all(&mut superuser)
    .await
    .unwrap();
    assert_eq!(rights, RIGHTS);
    let policies: Vec<String> = sqlx::query_scalar(
        "select c.relname || case when c.relforcerowsecurity then ' (forced)' else '' end || ': '
             || coalesce(string_agg(p.policyname || ' ' || lower(p.cmd) || ' ' || array_to_string(p.roles, ', '), '; '
                         order by p.policyname collate \"C\"), 'none')
         from pg_class c join pg_namespace n on n.oid = c.relnamespace
         left join pg_policies p on p.schemaname = n.nspname and p.tablename = c.relname
         where c.relrowsecurity and n.nspname in ('ledger', 'public') group by c.oid order by 1",
    )
    .fetch_all(&mut superuser)
    .await
    .unwrap();
    assert_eq!(policies, POLICIES);
}

#[tokio::test]
async fn each_role_may_do_what_is_meant_and_nothing_else() {
    let platform = platform().await;
    let service = platform.serve().await;
    let vtid = service.create(some_task("read by some")).await.expect(200).vtid().to_owned();
    service.patch(&vtid, r#"{"status":"active"}"#).await.expect(200);
    // A list waits for the read table; a read of one task need not.
    service.get("/vtid/list").await.expect(200);
    drop(service);
    assert_table(platform.database.url()).await;
    assert_rights(platform.database.url()).await;
}
