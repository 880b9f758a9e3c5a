//! Where metrics are served: at an address of their own, if one is given.

use std::net::TcpListener;

use crate::support::scrape::SCRAPED;
use crate::support::service::{Platform, Service, platform, run_program};
use crate::support::tokens::SECRET;

async fn status(service: &Service, method: reqwest::Method, path: &str) -> u16 {
    let client = vtid_ledger::fetch::client().no_proxy().build().unwrap();
    let address = format!("http://{}{path}", service.metrics_address().await);
    client.request(method, address).send().await.unwrap().status().as_u16()
}

async fn with_tokens(platform: &Platform) -> Service {
    platform.serve_with(&[&SCRAPED[..], &["--auth", "", "--jwt-secret", SECRET]].concat()).await
}

#[tokio::test]
async fn nothing_else_is_served_there_and_metrics_nowhere_else() {
    let platform = platform().await;
    let service = with_tokens(&platform).await;
    service.get("/metrics").await.expect(401);
    // Whoever may reach the listener needs no token.
    assert!(service.scrape().await.text.contains("vtid_ledger_ready 1"));
    for path in ["/", "/vtid/list", "/readyz", "/vtid/create", "/metrics/x"] {
        assert_eq!(status(&service, reqwest::Method::GET, path).await, 404, "{path}");
    }
    assert_eq!(status(&service, reqwest::Method::POST, "/metrics").await, 405);
    // A caller without a token is counted, under no route and with no name.
    let scrape = service.scrape().await;
    let refused = r#"http_requests_total{method="GET",route="none",status="401"}"#;
    assert_eq!(scrape.value(refused), 1);
}

#[tokio::test]
async fn without_a_setting_there_is_no_such_listener() {
    let platform = platform().await;
    let service = platform.serve().await;
    service.get("/metrics").await.expect(404);
    assert!(!service.log_text().contains("serving metrics"), "{}", service.log_text());
}

#[tokio::test]
async fn an_address_in_use_is_named_with_its_flag() {
    let platform = platform().await;
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let arguments = ["serve", "--listen", "127.0.0.1:0", "--metrics-listen", &address];
    let told = run_program(platform.database.service_url(), &platform.nats.url(), &arguments).await.failed();
    assert!(told.contains(&format!("can't listen on {address}")), "{told}");
    assert!(told.contains("--metrics-listen ADDRESS:PORT"), "{told}");
}

/// Prometheus keeps its connection open; that must not keep the process.
#[tokio::test]
async fn an_open_connection_does_not_keep_the_process() {
    let platform = platform().await;
    let mut service = platform.serve_scraped().await;
    let _idle = tokio::net::TcpStream::connect(service.metrics_address().await).await.unwrap();
    service.scrape().await;
    service.terminate();
    assert!(service.ended().await.success());
    assert!(!service.log_text().contains("was cut off"), "{}", service.log_text());
}
