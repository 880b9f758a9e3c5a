//! No traces, and a collector that does not take them: nobody notices but the log.

use std::net::TcpListener;
use std::process::Stdio;
use std::time::{Duration, Instant};

use super::collector::Collector;
use super::traced;
use crate::support::eventually;
use crate::support::service::{Service, platform, program_on, some_task};

const NOT_TAKEN: &str = "the collector of traces does not take them";

fn told(service: &Service) -> usize {
    service.log_text().matches(NOT_TAKEN).count()
}

#[tokio::test]
async fn without_an_address_or_disabled_nothing_is_sent() {
    let (platform, collector) = (platform().await, Collector::start().await);
    for variables in [("OTEL_SDK_DISABLED", "true"), ("OTEL_EXPORTER_OTLP_ENDPOINT", "")] {
        let mut service = traced(&platform, &collector.url, &[variables]).await;
        service.create(some_task("not traced")).await.expect(200);
        service.terminate();
        assert!(service.ended().await.success());
        assert!(!service.log_text().contains("trace"), "{}", service.log_text());
    }
    assert_eq!(collector.all().len(), 0);
    let bodies: Vec<String> = sqlx::query_scalar("select body from ledger.event order by position")
        .fetch_all(&mut platform.connection().await)
        .await
        .unwrap();
    assert_eq!(bodies.len(), 2);
    assert!(!bodies.iter().any(|body| body.contains("traceparent")), "{bodies:?}");
}

/// Its connections are taken and never answered; there is room for few spans.
#[tokio::test]
async fn a_frozen_collector_holds_nobody_up_and_is_told_of_once() {
    let platform = platform().await;
    let frozen = TcpListener::bind("127.0.0.1:0").unwrap();
    let endpoint = format!("http://{}", frozen.local_addr().unwrap());
    let variables = [("OTEL_BSP_MAX_QUEUE_SIZE", "8"), ("OTEL_EXPORTER_OTLP_TIMEOUT", "300")];
    let mut service = traced(&platform, &endpoint, &variables).await;
    let mut written = 0;
    // Past several batches that were given up, and far more spans than there is room for.
    while told(&service) == 0 || written < 100 {
        service.create(some_task("all the same")).await.expect(200);
        written += 1;
    }
    eventually("all are published", async || (platform.stream_length().await == written).then_some(())).await;
    service.terminate();
    let stopping = Instant::now();
    assert!(service.ended().await.success());
    assert!(stopping.elapsed() < Duration::from_secs(10), "it leaves within 10 seconds");
    assert_eq!(told(&service), 1, "{}", service.log_text());
}

#[tokio::test]
async fn a_collector_that_is_away_for_a_while_is_found_again() {
    let platform = platform().await;
    let gone = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let service = traced(&platform, &format!("http://{gone}"), &[]).await;
    service.create(some_task("lost")).await.expect(200);
    eventually("it is told", async || (told(&service) == 1).then_some(())).await;
    let collector = Collector::start_at(gone).await;
    eventually("a span comes through", async || {
        service.create(some_task("once more")).await.expect(200);
        (!collector.all().is_empty()).then_some(())
    })
    .await;
}

#[tokio::test]
async fn what_it_can_not_do_it_refuses_by_name() {
    let platform = platform().await;
    for (name, value) in [("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc"), ("OTEL_TRACES_SAMPLER", "sometimes")] {
        let mut command = program_on(platform.database.service_url(), &platform.nats.url());
        command.args(["serve", "--listen", "127.0.0.1:0"]).stdin(Stdio::null());
        command.env("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:9").env(name, value);
        let output = tokio::process::Command::from(command).kill_on_drop(true).output().await.unwrap();
        let told = String::from_utf8(output.stderr).unwrap();
        assert!(!output.status.success() && told.contains(&format!("{name} ({value:?}) must be")), "{told}");
    }
}
