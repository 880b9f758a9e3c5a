//! Every rule of who may do what: role × tenant × call.

use reqwest::Method;
use serde_json::json;
use sqlx::Row as _;

use crate::support::eventually;
use crate::support::service::{Answer, Platform, Service, platform, some_task};
use crate::support::tokens::{WITH_SECRET, authenticated, token};

/// A call that somebody makes.
#[derive(Debug, Clone, Copy)]
enum Call {
    CreateInOwn,
    CreateInOther,
    CompleteInOther,
    PatchOwn,
    PatchOther,
    PatchNone,
    GetOwn,
    GetOther,
    List,
    ListOther,
    Delete,
    UnknownRoute,
    Document,
    Page,
    Health,
    Ready,
}

use Call::{
    CompleteInOther, CreateInOther, CreateInOwn, Delete, Document, GetOther, GetOwn, Health, List, ListOther,
    Page, PatchNone, PatchOther, PatchOwn, Ready, UnknownRoute,
};

const CALLS: [Call; 16] = [
    CreateInOwn,
    CreateInOther,
    CompleteInOther,
    PatchOwn,
    PatchOther,
    PatchNone,
    GetOwn,
    GetOther,
    List,
    ListOther,
    Delete,
    UnknownRoute,
    Document,
    Page,
    Health,
    Ready,
];

/// What each caller is answered, in the order of [`CALLS`].
const EVERYTHING: [u16; 16] =
    [200, 200, 200, 200, 200, 404, 200, 200, 200, 200, 405, 404, 200, 200, 200, 200];
const OWN_TENANT: [u16; 16] =
    [200, 200, 200, 200, 403, 404, 200, 200, 200, 200, 405, 404, 200, 200, 200, 200];
const NO_TENANT: [u16; 16] = [200, 200, 200, 403, 403, 404, 200, 200, 200, 200, 405, 404, 200, 200, 200, 200];
const NO_RIGHTS: [u16; 16] = [403, 403, 403, 403, 403, 403, 403, 403, 403, 403, 403, 403, 403, 403, 200, 200];
const UNKNOWN: [u16; 16] = [401, 401, 401, 401, 401, 401, 401, 401, 401, 401, 401, 401, 401, 401, 200, 200];

struct World {
    platform: Platform,
    service: Service,
    own: String,
    other: String,
}

async fn world() -> World {
    let platform = platform().await;
    let service = platform.serve_with(&WITH_SECRET).await;
    let admin = token(&json!({"role": "service_role"}));
    let mut vtids = Vec::new();
    for tenant in ["own", "other"] {
        let answer =
            call(&service, Some(&admin), Method::POST, "/vtid/create", Some(task_of(tenant, "pending")))
                .await;
        vtids.push(answer.expect(200).vtid().to_owned());
    }
    let [own, other] = vtids.try_into().unwrap();
    World { platform, service, own, other }
}

fn task_of(tenant: &str, status: &str) -> String {
    json!({"taskFamily": "f", "taskType": "t", "description": "d", "tenant": tenant, "status": status})
        .to_string()
}

async fn call(
    service: &Service,
    token: Option<&str>,
    method: Method,
    path: &str,
    body: Option<String>,
) -> Answer {
    let request = match body {
        Some(body) => service.with_body(method, path, body),
        None => service.request(method, path),
    };
    let request = match token {
        Some(token) => request.bearer_auth(token),
        None => request,
    };
    service.send(request).await
}

impl World {
    async fn make(&self, made: Call, token: Option<&str>) -> Answer {
        let change = || Some(r#"{"metadata":{"seen":true}}"#.to_owned());
        let of = |vtid: &str| format!("/vtid/{vtid}");
        let (method, path, body) = match made {
            CreateInOwn => (Method::POST, "/vtid/create".to_owned(), Some(task_of("own", "active"))),
            CreateInOther => (Method::POST, "/vtid/create".to_owned(), Some(task_of("other", "active"))),
            CompleteInOther => (Method::POST, "/vtid/create".to_owned(), Some(task_of("other", "complete"))),
            PatchOwn => (Method::PATCH, of(&self.own), change()),
            PatchOther => (Method::PATCH, of(&self.other), change()),
            PatchNone => (Method::PATCH, of("VTID-2020-0001"), change()),
            GetOwn => (Method::GET, of(&self.own), None),
            GetOther => (Method::GET, of(&self.other), None),
            List => (Method::GET, "/vtid/list".to_owned(), None),
            ListOther => (Method::GET, "/vtid/list?tenant=other".to_owned(), None),
            Delete => (Method::DELETE, of(&self.own), None),
            UnknownRoute => (Method::GET, "/nothing".to_owned(), None),
            Document => (Method::GET, "/openapi.json".to_owned(), None),
            Page => (Method::GET, "/docs".to_owned(), None),
            Health => (Method::GET, "/vtid/health".to_owned(), None),
            Ready => (Method::GET, "/readyz".to_owned(), None),
        };
        call(&self.service, token, method, &path, body).await
    }

    async fn events(&self) -> i64 {
        let mut connection = self.platform.connection().await;
        sqlx::query_scalar("select count(*) from ledger.event").fetch_one(&mut connection).await.unwrap()
    }
}

fn check_form(answer: &Answer, what: &str) {
    let (error, code) = match answer.status.as_u16() {
        401 => ("Unauthorized", "unauthorized"),
        403 => ("Forbidden", "forbidden"),
        _ => return,
    };
    assert_eq!((&answer.body["error"], &answer.body["code"]), (&json!(error), &json!(code)), "{what}");
    assert!(answer.body["detail"].is_string() && answer.body["ok"] == false, "{what}: {}", answer.text);
    assert_eq!(answer.header("content-type"), "application/json", "{what}");
    let challenged = answer.header("www-authenticate").starts_with("Bearer realm=");
    assert_eq!(challenged, answer.status == 401, "{what}");
    assert!(answer.headers.contains_key("x-request-id"), "{what}");
}

#[tokio::test]
async fn each_role_may_do_what_the_rules_say_and_no_more() {
    let world = world().await;
    let of = |claims| Some(token(&claims));
    let callers = [
        ("service_role", of(json!({"role": "service_role"})), EVERYTHING),
        ("admin", of(json!({"role": "admin", "sub": "boss"})), EVERYTHING),
        (
            "admin by app_metadata",
            of(
                json!({"role": "authenticated", "sub": "boss", "app_metadata": {"role": "admin", "tenant": "third"}}),
            ),
            EVERYTHING,
        ),
        ("authenticated", Some(authenticated("ann", "own")), OWN_TENANT),
        (
            "authenticated by tenant",
            of(json!({"role": "authenticated", "sub": "ann", "tenant": "own"})),
            OWN_TENANT,
        ),
        ("authenticated without tenant", of(json!({"role": "authenticated", "sub": "ann"})), NO_TENANT),
        ("anon", of(json!({"role": "anon"})), NO_RIGHTS),
        ("anon that claims more", of(json!({"role": "anon", "app_metadata": {"role": "admin"}})), NO_RIGHTS),
        ("unknown role", of(json!({"role": "worker", "sub": "w", "tenant": "own"})), NO_RIGHTS),
        ("no role", of(json!({"sub": "w"})), NO_RIGHTS),
        ("no token", None, UNKNOWN),
        ("expired", of(json!({"role": "admin", "exp": 1_000_000_000})), UNKNOWN),
        ("nonsense", Some("nonsense".to_owned()), UNKNOWN),
    ];
    for (name, token, expected) in callers {
        for (made, status) in CALLS.into_iter().zip(expected) {
            let before = world.events().await;
            let answer = world.make(made, token.as_deref()).await;
            let what = format!("{name}: {made:?}");
            assert_eq!(answer.status.as_u16(), status, "{what}: {}", answer.text);
            check_form(&answer, &what);
            let writes = match made {
                CreateInOwn | CreateInOther | PatchOwn | PatchOther if status == 200 => 1,
                CompleteInOther if status == 200 => 2,
                _ => 0,
            };
            assert_eq!(world.events().await - before, writes, "{what}");
        }
    }
}

/// Without tokens, every caller is the same one, and may do everything.
#[tokio::test]
async fn an_open_ledger_asks_nobody() {
    let platform = platform().await;
    let service = platform.serve().await;
    let vtid = service.create(some_task("open")).await.expect(200).vtid().to_owned();
    for token in [None, Some("nonsense")] {
        let patch = Some(r#"{"status":"active"}"#.to_owned());
        call(&service, token, Method::PATCH, &format!("/vtid/{vtid}"), patch).await.expect(200);
    }
    let mut connection = platform.connection().await;
    let actors =
        "select distinct actor || ' ' || actor_role || ' ' || coalesce(actor_tenant, '-') from ledger.event";
    let actors: Vec<String> = sqlx::query_scalar(actors).fetch_all(&mut connection).await.unwrap();
    assert_eq!(actors, ["anonymous service_role -"]);
}

#[tokio::test]
async fn every_event_says_who_asked_for_it() {
    let world = world().await;
    // Whatever a name may hold, record and column say the same.
    let odd = "a\"b\\c/d é\u{2028}\u{200f}<&>'%s🚀";
    let callers = [
        (token(&json!({"role": "admin", "sub": odd})), (odd, "admin", None)),
        (token(&json!({"role": "service_role"})), ("service_role", "service_role", None)),
        (token(&json!({"role": "admin", "sub": "boss", "tenant": "hq"})), ("boss", "admin", Some("hq"))),
        (authenticated("3f0d-ann", "own"), ("3f0d-ann", "authenticated", Some("own"))),
    ];
    for (token, (actor, role, tenant)) in callers {
        let answer = world.make(PatchOwn, Some(&token)).await.expect(200);
        let position = i64::try_from(answer.position()).unwrap();
        let mut connection = world.platform.connection().await;
        let row =
            sqlx::query("select actor, actor_role, actor_tenant, body from ledger.event where position = $1")
                .bind(position)
                .fetch_one(&mut connection)
                .await
                .unwrap();
        assert_eq!((row.get::<&str, _>(0), row.get::<&str, _>(1)), (actor, role));
        assert_eq!(row.get::<Option<&str>, _>(2), tenant);
        let record: serde_json::Value = serde_json::from_str(row.get(3)).unwrap();
        assert_eq!((&record["actor"], &record["actorrole"]), (&json!(actor), &json!(role)));
        assert_eq!(record.get("actortenant").map(|tenant| tenant.as_str().unwrap()), tenant);
    }
}

/// The task's tenant counts, not the one of its parent or of whoever made it.
#[tokio::test]
async fn whoever_creates_in_another_tenant_may_not_patch_there() {
    let world = world().await;
    let member = authenticated("ann", "own");
    let member = Some(member.as_str());
    let body = json!({"taskFamily": "f", "taskType": "t", "description": "d", "tenant": "other", "parentVtid": world.own});
    let made =
        call(&world.service, member, Method::POST, "/vtid/create", Some(body.to_string())).await.expect(200);
    let path = format!("/vtid/{}", made.vtid());
    let activate = || Some(r#"{"status":"active"}"#.to_owned());
    call(&world.service, member, Method::PATCH, &path, activate()).await.expect(403);
    let bob = authenticated("bob", "other");
    let bob = Some(bob.as_str());
    call(&world.service, bob, Method::PATCH, &path, activate()).await.expect(200);
    // A refusal tells nothing of the task's state: not that it is final, nor how large its metadata is.
    call(&world.service, bob, Method::PATCH, &path, Some(r#"{"status":"complete"}"#.to_owned()))
        .await
        .expect(200);
    let large = json!({"metadata": {"x": "x".repeat(32_700)}}).to_string();
    call(&world.service, bob, Method::PATCH, &path, Some(large.clone())).await.expect(200);
    let more = json!({"metadata": {"y": "y".repeat(1_000)}}).to_string();
    call(&world.service, bob, Method::PATCH, &path, Some(more.clone())).await.expect(400);
    for body in [r#"{"status":"pending"}"#.to_owned(), more] {
        call(&world.service, member, Method::PATCH, &path, Some(body)).await.expect(403);
    }
}

/// An anonymous caller learns only whether the process is ready.
#[tokio::test]
async fn readyz_tells_strangers_little() {
    let platform = platform().await;
    let service = platform.serve_with(&WITH_SECRET).await;
    let member = authenticated("ann", "own");
    let member = Some(member.as_str());
    call(&service, member, Method::POST, "/vtid/create", Some(task_of("own", "pending"))).await.expect(200);
    let outsider = token(&json!({"role": "anon"}));
    for stranger in [None, Some(outsider.as_str()), Some("nonsense")] {
        let answer = call(&service, stranger, Method::GET, "/readyz", None).await.expect(200);
        assert_eq!(answer.text, r#"{"ok":true}"#);
    }
    let told = call(&service, member, Method::GET, "/readyz", None).await.expect(200);
    assert!(told.body["followers"].is_array() && told.body["head"].is_number(), "{}", told.text);

    platform.append_unknown_event().await;
    let answer = eventually("it is unready", async || {
        let answer = call(&service, None, Method::GET, "/readyz", None).await;
        (answer.status == 503).then_some(answer)
    })
    .await;
    assert_eq!(answer.body["detail"], "not ready");
    assert_eq!(answer.header("retry-after"), "1");
    assert!(!answer.text.contains("vtid-moved"), "{}", answer.text);
    let told = call(&service, member, Method::GET, "/readyz", None).await.expect(503);
    assert_eq!(told.body["detail"]["reason"], "unknown_event");
}
