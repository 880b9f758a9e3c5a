//! Filters, alone and together, by pages and by lines.

use reqwest::Method;
use serde_json::json;
use vtid_ledger::domain::record::Recorded;

use super::LINES;
use crate::support::past::{bodies, lines, page_of, parsed};
use crate::support::service::{Platform, Service, platform};
use crate::support::tokens::{WITH_SECRET, authenticated, token};

/// Writers of three tenants and the platform, each with some events.
async fn diverse(platform: &Platform, service: &Service) -> Vec<Recorded> {
    let send = async |method: Method, path: &str, token: &str, body: &str| {
        service.send(service.with_body(method, path, body).bearer_auth(token)).await.expect(200)
    };
    for n in 0..12 {
        let (who, tenant) = ([("ada", "a"), ("bob l", "b"), ("ada", "b"), ("ü", "c")])[n % 4];
        let token = authenticated(who, tenant);
        let body =
            format!(r#"{{"taskFamily":"f","taskType":"t","description":"d {n}","tenant":"{tenant}"}}"#);
        let created = send(Method::POST, "/vtid/create", &token, &body).await;
        let path = format!("/vtid/{}", created.vtid());
        send(Method::PATCH, &path, &token, r#"{"status":"active"}"#).await;
        if n % 3 == 0 {
            send(Method::PATCH, &path, &token, r#"{"status":"complete"}"#).await;
        }
    }
    parsed(&bodies(&mut platform.connection().await).await)
}

/// What a filter lets through.
type Matches<'a> = Box<dyn Fn(&Recorded) -> bool + 'a>;

#[tokio::test]
async fn every_filter_filters_and_they_combine() {
    let platform = platform().await;
    let service = platform.serve_with(&WITH_SECRET).await;
    let log = diverse(&platform, &service).await;
    let bearer = token(&json!({"role": "service_role", "sub": "reader"}));
    let time = |index: usize| log[index].event.recorded_at;
    let vtid = log[10].event.vtid;
    let (since, until) = (time(9), time(20));
    let filters: Vec<(String, Matches)> = vec![
        ("tenant=b".into(), Box::new(|r| r.event.tenant.as_str() == "b")),
        ("actor=ada".into(), Box::new(|r| r.event.origin.actor.id.as_str() == "ada")),
        ("actor=%C3%BC".into(), Box::new(|r| r.event.origin.actor.id.as_str() == "ü")),
        ("type=vtid-created".into(), Box::new(|r| r.event.data.event_type().as_str() == "vtid-created")),
        ("type=vtid-completed".into(), Box::new(|r| r.event.data.event_type().as_str() == "vtid-completed")),
        (format!("vtid={vtid}"), Box::new(|r| r.event.vtid == vtid)),
        (
            format!("vtid={vtid}&type=vtid-updated"),
            Box::new(|r| r.event.vtid == vtid && r.event.data.event_type().as_str() == "vtid-updated"),
        ),
        (format!("since={since}"), Box::new(|r| r.event.recorded_at >= since)),
        (format!("until={until}"), Box::new(|r| r.event.recorded_at <= until)),
        (
            format!("since={since}&until={until}&tenant=b&actor=ada"),
            Box::new(|r| {
                (since..=until).contains(&r.event.recorded_at)
                    && (r.event.tenant.as_str(), r.event.origin.actor.id.as_str()) == ("b", "ada")
            }),
        ),
        (
            format!("since={until}&until={since}"),
            Box::new(|r| since == until && r.event.recorded_at == since),
        ),
        ("tenant=nobody".into(), Box::new(|_| false)),
        ("vtid=VTID-2026-0000".into(), Box::new(|_| false)),
        ("vtid=VTID-1999-0001".into(), Box::new(|_| false)),
        ("until=2000-01-01T00:00:00%2B02:00".into(), Box::new(|_| false)),
        ("since=0000-01-01T00:00:00Z".into(), Box::new(|_| true)),
    ];
    let get = async |query: &str, accept: &str| {
        let request = service.request(Method::GET, &format!("/events?{query}")).header("accept", accept);
        service.send(request.bearer_auth(&bearer)).await.expect(200)
    };
    for (query, matches) in filters {
        let expected: Vec<String> = log.iter().filter(|r| matches(r)).map(|r| r.body.to_string()).collect();
        let all = get(&query, LINES).await;
        assert_eq!(all.text, lines(&expected), "{query}");
        assert_eq!(all.position(), log.len() as u64, "{query}");
        let (mut paged, mut from) = (Vec::new(), 1);
        loop {
            let page = get(&format!("{query}&limit=4&from={from}"), "*/*").await;
            paged.extend(page_of(&page));
            let Some(next) = page.body["next"].as_u64() else { break };
            assert_eq!(page.position() + 1, next, "{query}");
            from = next;
        }
        assert_eq!(paged, expected, "{query}");
        // From the middle on.
        let late: Vec<&String> = expected
            .iter()
            .zip(log.iter().filter(|r| matches(r)))
            .filter(|(_, r)| r.event.position.get() >= 15)
            .map(|(body, _)| body)
            .collect();
        let answer = get(&format!("{query}&from=15"), LINES).await;
        assert_eq!(answer.text.lines().collect::<Vec<_>>(), late, "{query}");
    }
}
