//! How often one may ask, and from which pages.

use reqwest::Method;

use crate::support::eventually;
use crate::support::service::{Answer, Service, platform, some_task};
use crate::support::tokens::{WITH_SECRET, authenticated};

async fn list(service: &Service, token: Option<&str>) -> Answer {
    let request = service.request(Method::GET, "/vtid/list");
    service
        .send(match token {
            Some(token) => request.bearer_auth(token),
            None => request,
        })
        .await
}

/// Asks until it is refused; gives the refusal, and how often it was not.
async fn until_refused(service: &Service, token: Option<&str>) -> (Answer, u32) {
    for asked in 0..2_000 {
        let answer = list(service, token).await;
        if answer.status == 429 {
            return (answer, asked);
        }
        answer.expect(200);
    }
    panic!("nobody counts");
}

#[tokio::test]
async fn one_caller_who_asks_too_often_is_told_when_to_come_back_and_others_are_not() {
    let platform = platform().await;
    let limited = ["--rate-limit-per-s", "1", "--rate-limit-burst", "5"];
    let service = platform.serve_with(&[&WITH_SECRET[..], &limited].concat()).await;
    let (ann, bob) = (authenticated("ann", "a"), authenticated("bob", "a"));
    let (refused, asked) = until_refused(&service, Some(&ann)).await;
    assert!(asked >= 5, "{asked}");
    assert_eq!(refused.body["error"], "Too many requests");
    assert_eq!(refused.header("retry-after"), "1");
    // Another token of the same caller is the same caller.
    let again = authenticated("ann", "b");
    until_refused(&service, Some(&again)).await;
    list(&service, Some(&bob)).await.expect(200);
    // Whoever watches the process is not counted.
    for _ in 0..20 {
        for path in ["/vtid/health", "/readyz"] {
            service.send(service.request(Method::GET, path).bearer_auth(&ann)).await.expect(200);
        }
    }
    eventually("the caller may ask again", async || {
        (list(&service, Some(&ann)).await.status == 200).then_some(())
    })
    .await;
}

#[tokio::test]
async fn without_tokens_an_address_is_a_caller() {
    let platform = platform().await;
    let service = platform.serve_with(&["--rate-limit-per-s", "3"]).await;
    let (refused, asked) = until_refused(&service, None).await;
    assert!(asked >= 3, "{asked}");
    assert_eq!(refused.header("retry-after"), "1");
}

async fn preflight(service: &Service, origin: &str) -> Answer {
    let request = service
        .request(Method::OPTIONS, "/vtid/create")
        .header("origin", origin)
        .header("access-control-request-method", "POST")
        .header("access-control-request-headers", "authorization,content-type");
    service.send(request).await
}

const LISTED: &str = "https://app.example.org";

#[tokio::test]
async fn pages_of_listed_origins_may_read_answers() {
    let platform = platform().await;
    let origins = format!("http://localhost:3000, {LISTED}");
    let service = platform.serve_with(&[&WITH_SECRET[..], &["--cors-origins", &origins]].concat()).await;
    // A browser asks without a token.
    let answer = preflight(&service, LISTED).await.expect(200);
    assert_eq!(answer.header("access-control-allow-origin"), LISTED);
    assert!(answer.header("access-control-allow-methods").contains("PATCH"));
    let allowed = answer.header("access-control-allow-headers").to_owned();
    for name in [
        "authorization",
        "content-type",
        "idempotency-key",
        "if-match",
        "if-none-match",
        "ledger-min-position",
        "x-request-id",
    ] {
        assert!(allowed.contains(name), "{allowed}");
    }
    assert!(answer.headers.contains_key("x-request-id"));
    let ann = authenticated("ann", "system");
    let create = |origin: &str| {
        service
            .with_body(Method::POST, "/vtid/create", some_task("from a page"))
            .header("origin", origin)
            .bearer_auth(&ann)
    };
    let answer = service.send(create(LISTED)).await.expect(200);
    assert_eq!(answer.header("access-control-allow-origin"), LISTED);
    let exposed = answer.header("access-control-expose-headers").to_owned();
    for name in ["ledger-position", "etag", "location", "x-request-id", "retry-after", "idempotency-replayed"]
    {
        assert!(exposed.contains(name), "{exposed}");
    }
    assert!(answer.header("vary").contains("origin"));
    // A page must be able to read why it was refused.
    let stranger = service.request(Method::GET, "/vtid/list").header("origin", LISTED);
    let answer = service.send(stranger).await.expect(401);
    assert_eq!(answer.header("access-control-allow-origin"), LISTED);
    // Another origin gets its answer, and its browser keeps it from the page.
    for other in ["https://app.example.org.evil.example", "http://app.example.org", "null"] {
        assert!(
            !preflight(&service, other).await.headers.contains_key("access-control-allow-origin"),
            "{other}"
        );
        let answer = service.send(create(other)).await.expect(200);
        assert!(!answer.headers.contains_key("access-control-allow-origin"), "{other}");
    }
    // Not a preflight: the route says what it has.
    let options = service.request(Method::OPTIONS, "/vtid/create").bearer_auth(&ann);
    assert_eq!(service.send(options).await.expect(405).header("allow"), "POST");
}

#[tokio::test]
async fn without_a_list_nothing_is_said_to_browsers() {
    let platform = platform().await;
    let service = platform.serve().await;
    let answer = preflight(&service, LISTED).await.expect(405);
    assert!(answer.headers.keys().all(|name| !name.as_str().starts_with("access-control")));
    let request = service.request(Method::GET, "/vtid/list").header("origin", LISTED);
    let answer = service.send(request).await.expect(200);
    assert!(answer.headers.keys().all(|name| !name.as_str().starts_with("access-control")));
}
