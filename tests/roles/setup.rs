//! The set-up as the README has it: one SQL file, then `migrate` and `serve`, each with a login of its own.

use std::process::{Command, Stdio};

use sqlx::{Connection, Executor, PgConnection};

use super::NO_RIGHT;
use super::own::{FILE, Own, migrate};
use super::statements::{assert_rights, assert_table};
use crate::support::service::{Service, platform, some_task};
use crate::support::{eventually, program};

/// `vtid-ledger serve`, by the service's login: tasks are made, changed and listed.
async fn assert_serves(own: &Own, url: &str) {
    let mut command = Command::new(program());
    command.args(["serve", "--listen", "127.0.0.1:0"]).env_clear().stdout(Stdio::null());
    command.env("DATABASE_URL", url).env("NATS_URL", own.nats.url()).env("AUTH", "off");
    let mut service = Service::start(command);
    eventually("the ledger is ready", async || (service.get("/readyz").await.status == 200).then_some(()))
        .await;
    let vtid = service.create(some_task("set up")).await.expect(200).vtid().to_owned();
    service.patch(&vtid, r#"{"status":"active"}"#).await.expect(200);
    let list = service.get("/vtid/list").await.expect(200);
    assert_eq!(
        (&list.body["count"], &list.body["data"][0]["status"]),
        (&1.into(), &"active".into()),
        "{}",
        list.text
    );
    assert!(!service.log_text().contains("setup/roles.sql"), "nothing to warn of: {}", service.log_text());
    service.terminate();
    assert!(service.ended().await.success());
}

/// What the service's login can't do.
async fn assert_no_more_than_it_needs(url: &str) {
    let mut service = PgConnection::connect(url).await.unwrap();
    let (powers, owned): (bool, i64) = sqlx::query_as(
        "select r.rolsuper or r.rolcreaterole or r.rolcreatedb or r.rolbypassrls or r.rolreplication,
                (select count(*) from pg_shdepend d
                 where d.refclassid = 'pg_authid'::regclass and d.refobjid = r.oid and d.deptype = 'o')
         from pg_roles r where r.rolname = current_user",
    )
    .fetch_one(&mut service)
    .await
    .unwrap();
    assert_eq!((powers, owned), (false, 0), "no superuser, and owns nothing");
    for statement in [
        "update ledger.event set tenant = 'other'",
        "delete from ledger.event where false",
        "truncate ledger.event",
        "alter table ledger.event disable trigger all",
        r#"truncate "VtidLedger""#,
        r#"drop table "VtidLedger""#,
        "update ledger.identity set ledger_id = gen_random_uuid()",
        "create table public.mine ()",
        "create table ledger.mine ()",
        "create schema mine",
        "create role mine",
        "set role postgres",
        "set role service_role",
        "grant vtid_ledger_writer to anon",
        "alter system set fsync = off",
    ] {
        let error = sqlx::raw_sql(statement).execute(&mut service).await.expect_err(statement);
        let code = error.as_database_error().and_then(sqlx::error::DatabaseError::code);
        assert_eq!(code.as_deref(), Some(NO_RIGHT), "{statement}: {error}");
    }
}

/// The owner, who is no superuser, sees every row, and so does his dump; but he can't change history either.
async fn assert_owner_sees_all(own: &Own, url: &str) {
    let mut owner = PgConnection::connect(url).await.unwrap();
    let (rows, events): (i64, i64) =
        sqlx::query_as(r#"select (select count(*) from "VtidLedger"), (select count(*) from ledger.event)"#)
            .fetch_one(&mut owner)
            .await
            .unwrap();
    assert_eq!((rows, events), (1, 2));
    for statement in
        ["update ledger.event set body = body", "delete from ledger.event", "truncate ledger.event"]
    {
        let error = sqlx::raw_sql(statement).execute(&mut owner).await.unwrap_err();
        assert!(error.to_string().contains("ledger.event is immutable"), "{statement}: {error}");
    }
    let dump = own.run("pg_dump", &["--data-only", "--inserts", url], &[]).await;
    let told = String::from_utf8(dump.stdout).unwrap();
    assert!(dump.status.success(), "{}", String::from_utf8_lossy(&dump.stderr));
    assert_eq!(told.matches("INSERT INTO ledger.event ").count(), 2, "{told}");
    assert_eq!(told.matches(r#"INSERT INTO public."VtidLedger" "#).count(), 1, "{told}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_sql_file_and_two_commands() {
    let own = Own::start().await;
    let admin = own.server.url("postgres");
    let secrets = |owner, service| [("OWNER_PASSWORD", owner), ("SERVICE_PASSWORD", service)];
    own.set_up(&admin, &secrets("first", "it's")).await;
    // Once more, which is how passwords are changed.
    own.set_up(&admin, &secrets("owner", "service")).await;
    let owner = own.url("vtid_ledger_owner", "owner", "vtid_ledger");
    let service = own.url("vtid_ledger_service", "service", "vtid_ledger");
    assert!(PgConnection::connect(&own.url("vtid_ledger_service", "it's", "vtid_ledger")).await.is_err());

    assert!(migrate(&service).await.is_err(), "the service's login does not migrate");
    migrate(&owner).await.unwrap();
    migrate(&owner).await.unwrap();
    assert_serves(&own, &service).await;
    assert_no_more_than_it_needs(&service).await;
    assert_owner_sees_all(&own, &owner).await;
    assert_table(&own.server.url("vtid_ledger")).await;
    assert_rights(&own.server.url("vtid_ledger")).await;

    let output = own.run("psql", &[&admin, "-f", FILE], &[]).await;
    assert!(
        !output.status.success() && String::from_utf8_lossy(&output.stderr).contains("SERVICE_PASSWORD"),
        "{output:?}"
    );
    own.stop().await;
}

/// What is there and does not fit is left as it is, and told of.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_there_already_and_does_not_fit_is_refused() {
    let own = Own::start().await;
    let admin = own.server.url("postgres");
    let mut connection = PgConnection::connect(&admin).await.unwrap();
    let refused = async |secrets: &[(&str, &str)], named: &str| {
        let output = own.run("psql", &[&admin, "-f", FILE], secrets).await;
        let told = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(!output.status.success() && told.contains(named), "{named}: {told}");
    };
    let secrets = [("OWNER_PASSWORD", "owner"), ("SERVICE_PASSWORD", "service")];
    refused(&[("OWNER_PASSWORD", "owner"), ("SERVICE_PASSWORD", "")], "SERVICE_PASSWORD is not set").await;

    connection.execute("create database vtid_ledger").await.unwrap();
    refused(&secrets, "the database vtid_ledger is there already, and another's").await;
    let may_connect = "select has_database_privilege('public', 'vtid_ledger', 'connect')";
    assert!(sqlx::query_scalar::<_, bool>(may_connect).fetch_one(&mut connection).await.unwrap());

    connection.execute("alter role vtid_ledger_service superuser").await.unwrap();
    refused(&secrets, "may do too much").await;
    connection.execute("alter role vtid_ledger_service nosuperuser bypassrls").await.unwrap();
    refused(&secrets, "may do too much").await;
    connection.close().await.unwrap();
    own.stop().await;
}

/// Hosted servers give nobody a superuser.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn by_an_administrator_who_is_no_superuser() {
    let own = Own::start().await;
    let create = "create role administrator login createrole createdb password 'administrator'";
    own.sql(&own.server.url("postgres"), create).await;
    let admin = own.url("administrator", "administrator", "postgres");
    for _ in 0..2 {
        own.set_up(&admin, &[("OWNER_PASSWORD", "owner"), ("SERVICE_PASSWORD", "service")]).await;
    }
    migrate(&own.url("vtid_ledger_owner", "owner", "vtid_ledger")).await.unwrap();
    let service = own.url("vtid_ledger_service", "service", "vtid_ledger");
    assert_serves(&own, &service).await;
    assert_no_more_than_it_needs(&service).await;
    assert_rights(&own.server.url("vtid_ledger")).await;
    own.stop().await;
}

/// What Supabase has made before: `postgres` owns the database and is no superuser, its roles are there, and whatever is
/// made in `public` is granted to them by default (here in every schema).
const LIKE_SUPABASE: &str = "
    create role postgres login createrole createdb replication bypassrls password 'owner';
    alter database postgres owner to postgres;
    create role anon nologin noinherit;
    create role authenticated nologin noinherit;
    create role service_role nologin noinherit bypassrls;
    create role authenticator login noinherit password 'authenticator';
    grant anon, authenticated, service_role to authenticator;
    grant usage on schema public to anon, authenticated, service_role;
    alter default privileges for role postgres in schema public grant all on tables to anon, authenticated, service_role;
    alter default privileges for role postgres in schema public grant all on functions to anon, authenticated, service_role;
    alter default privileges for role postgres in schema public grant all on sequences to anon, authenticated, service_role;
    alter default privileges for role postgres grant all on tables to anon, authenticated, service_role;
    alter default privileges for role postgres grant all on functions to anon, authenticated, service_role;
    alter default privileges for role postgres grant all on schemas to anon, authenticated, service_role;";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn on_supabase() {
    let own = Own::start().await;
    // There the superuser goes by another name.
    own.sql(&own.server.url("postgres"), "create role other login superuser password 'other'").await;
    let other = own.url("other", "other", "postgres");
    own.sql(
        &other,
        "alter role postgres rename to supabase_admin; alter role supabase_admin password 'admin'",
    )
    .await;
    let admin = own.url("supabase_admin", "admin", "postgres");
    own.sql(&admin, LIKE_SUPABASE).await;
    let owner = own.url("postgres", "owner", "postgres");
    let service = own.url("vtid_ledger_service", "service", "postgres");

    own.set_up(&owner, &[("SERVICE_PASSWORD", "service")]).await;
    migrate(&owner).await.unwrap();
    assert_serves(&own, &service).await;
    assert_no_more_than_it_needs(&service).await;
    assert_table(&admin).await;
    assert_rights(&admin).await;
    let mut connection = PgConnection::connect(&admin).await.unwrap();
    let kept: bool = sqlx::query_scalar(
        "select bool_and(not rolcanlogin and not rolinherit) and bool_or(rolbypassrls)
         from pg_roles where rolname in ('anon', 'authenticated', 'service_role')",
    )
    .fetch_one(&mut connection)
    .await
    .unwrap();
    assert!(kept, "Supabase's roles are as they were");
    own.stop().await;
}

/// Several databases of one server are migrated at the same time, by an owner who may create roles; and one whose owner may
/// not is told what is missing, as long as it is.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn roles_that_are_missing_are_made_or_named() {
    let own = Own::start().await;
    let admin = own.server.url("postgres");
    own.sql(&admin, "create role plain login password 'plain'").await;
    own.sql(&admin, "create role maker login createrole password 'maker'").await;
    own.sql(&admin, "create database of_plain owner plain").await;
    let plain = own.url("plain", "plain", "of_plain");
    let refused = migrate(&plain).await.unwrap_err();
    for named in [
        "plain",
        "setup/roles.sql",
        "create role service_role nologin",
        "create role authenticated nologin",
        "create role anon nologin",
        "create role vtid_ledger_writer nologin",
        "create role vtid_ledger_projector nologin",
    ] {
        assert!(refused.contains(named), "{named} is not named: {refused}");
    }

    let mut urls = Vec::new();
    for number in 0..8 {
        let name = format!("of_maker_{number}");
        own.sql(&admin, &format!("create database {name} owner maker")).await;
        urls.push(own.url("maker", "maker", &name));
    }
    for ended in futures::future::join_all(urls.iter().map(|url| migrate(url))).await {
        ended.unwrap();
    }
    for database in ["of_maker_0", "of_maker_7"] {
        assert_rights(&own.server.url(database)).await;
    }
    migrate(&plain).await.unwrap();
    own.stop().await;
}

#[tokio::test]
async fn a_login_with_too_many_rights_is_warned_of_and_one_with_too_few_refused() {
    let platform = platform().await;
    let owner = platform.serve_with(&["--database-url", platform.database.url()]).await;
    assert!(owner.log_text().contains("setup/roles.sql"), "{}", owner.log_text());
    let service = platform.serve().await;
    assert!(!service.log_text().contains("setup/roles.sql"), "{}", service.log_text());

    let mut connection = platform.connection().await;
    sqlx::raw_sql(
        "create role reads_alone login password 'reads'; grant authenticated to reads_alone;
         create role writes_alone login password 'writes'; grant vtid_ledger_writer to writes_alone",
    )
    .execute(&mut connection)
    .await
    .unwrap();
    let (_, server) = platform.database.url().split_once('@').unwrap();
    for (login, password) in [("reads_alone", "reads"), ("writes_alone", "writes")] {
        let url = format!("postgres://{login}:{password}@{server}");
        let told = platform.run(&["serve", "--listen", "127.0.0.1:0", "--database-url", &url]).await.failed();
        for named in [login, "vtid_ledger_writer", "vtid_ledger_projector", "setup/roles.sql"] {
            assert!(told.contains(named), "{named} is not named: {told}");
        }
    }
}
