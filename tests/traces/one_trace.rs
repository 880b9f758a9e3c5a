//! What a collector sees of a request.

use opentelemetry_proto::tonic::trace::v1::span::SpanKind;
use serde_json::Value;

use super::collector::{Collector, Seen};
use super::{traced, with_trace};
use crate::support::service::{Platform, platform, some_task};

const CALLER: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
const CREATE: &str = "POST /vtid/create";

/// The traceparent in the record at a position, and in its message's header.
async fn carried(platform: &Platform, position: u64) -> [String; 2] {
    let client = async_nats::connect(platform.nats.url()).await.unwrap();
    let stream = async_nats::jetstream::new(client).get_stream("OASIS_VTID_LEDGER").await.unwrap();
    let message = crate::support::eventually("the message is there", async || {
        stream.get_raw_message(position).await.ok()
    })
    .await;
    let body: Value = serde_json::from_slice(&message.payload).unwrap();
    let record = body["metadata"]["record"]["traceparent"].as_str().unwrap_or_default().to_owned();
    [record, message.headers.get("traceparent").map_or(String::new(), ToString::to_string)]
}

/// The three spans of a create.
async fn spans(collector: &Collector, vtid: &str) -> [Seen; 3] {
    let append = collector.span("append", |span| span.get("vtid_ledger.vtid") == vtid).await;
    let publish = collector.span("publish", |span| span.get("vtid_ledger.vtid") == vtid).await;
    let request = collector.span(CREATE, |span| span.id == append.parent).await;
    [request, append, publish]
}

#[tokio::test]
async fn a_create_is_one_trace_from_request_to_publish() {
    let (platform, collector) = (platform().await, Collector::start().await);
    let service = traced(&platform, &collector.url, &[]).await;
    let answer = service.create(some_task("traced")).await.expect(200);
    let [request, append, publish] = spans(&collector, answer.vtid()).await;
    // The README shows this.
    for span in [&request, &append, &publish] {
        println!("{span}");
    }
    assert_eq!((&*request.parent, request.kind), ("", SpanKind::Server));
    assert_eq!(request.get("http.route"), "/vtid/create");
    assert_eq!(request.get("http.response.status_code"), "200");
    assert_eq!(request.get("vtid_ledger.request_id"), answer.header("x-request-id"));
    assert_eq!((&append.trace, append.kind), (&request.trace, SpanKind::Client));
    assert_eq!((&publish.trace, &publish.parent), (&request.trace, &request.id));
    assert_eq!(publish.kind, SpanKind::Producer);
    for span in [&request, &append, &publish] {
        assert!(!span.failed && span.began_ns <= span.ended_ns, "{span:?}");
        assert_eq!(span.of_process("service.name"), "vtid-ledger");
    }
    assert!(
        request.began_ns <= append.began_ns && append.ended_ns <= request.ended_ns,
        "{request:?} {append:?}"
    );
    // Subscribers go on with the trace, and whoever reads the log finds it.
    assert_eq!(carried(&platform, answer.position()).await, [request.traceparent(), request.traceparent()]);
    let lines = service.log_lines();
    let line = lines.iter().find(|line| line["route"] == "/vtid/create").unwrap();
    assert_eq!(line["span"]["trace_id"], *request.trace);
}

#[tokio::test]
async fn a_callers_trace_is_gone_on_with_and_kept_as_it_was_sent() {
    let (platform, collector) = (platform().await, Collector::start().await);
    let service = traced(&platform, &collector.url, &[]).await;
    let answer = service.send(with_trace(&service, some_task("mine"), CALLER)).await.expect(200);
    let [request, append, publish] = spans(&collector, answer.vtid()).await;
    let (trace, caller) = (&CALLER[3..35], &CALLER[36..52]);
    assert_eq!([&*request.trace, &*append.trace, &*publish.trace], [trace; 3]);
    assert_eq!([&*request.parent, &*publish.parent], [caller; 2]);
    assert_eq!(carried(&platform, answer.position()).await, [CALLER, CALLER]);
}

/// What is not sampled by its caller is left alone; so is what has no append, or watches the process.
#[tokio::test]
async fn nothing_more_is_traced_than_was_asked_for_and_done() {
    let (platform, collector) = (platform().await, Collector::start().await);
    let service = traced(&platform, &collector.url, &[("OTEL_SERVICE_NAME", "tasks")]).await;
    let unsampled = format!("{}00", CALLER.strip_suffix("01").unwrap());
    let answer = service.send(with_trace(&service, some_task("not sampled"), &unsampled)).await.expect(200);
    assert_eq!(carried(&platform, answer.position()).await, [&*unsampled, &*unsampled]);
    service.get("/vtid/health").await.expect(200);
    service.create("{}").await.expect(400);
    let keyed = || with_trace(&service, some_task("twice"), CALLER).header("idempotency-key", "k");
    let first = service.send(keyed()).await.expect(200);
    service.send(keyed()).await.expect(200);
    let last = service.create(some_task("the last")).await.expect(200);
    spans(&collector, last.vtid()).await;
    collector.span(CREATE, |span| span.get("http.response.status_code") == "400").await;
    let all = collector.all();
    assert!(all.iter().all(|span| span.of_process("service.name") == "tasks"), "{all:?}");
    assert!(!all.iter().any(|span| span.get("url.path") == "/vtid/health"), "{all:?}");
    let named = |name: &str| all.iter().filter(|span| span.name == name).cloned().collect::<Vec<_>>();
    assert_eq!(named(CREATE).len(), 4, "{all:?}");
    let appended: Vec<_> = named("append").iter().map(|span| span.get("vtid_ledger.vtid")).collect();
    assert_eq!(appended, [first.vtid(), last.vtid()]);
    assert!(!named("publish").iter().any(|span| span.get("vtid_ledger.vtid") == answer.vtid()));
}

#[tokio::test]
async fn another_process_may_publish_later() {
    let (mut platform, collector) = (platform().await, Collector::start().await);
    let mut first =
        traced(&platform, &collector.url, &[("OTEL_RESOURCE_ATTRIBUTES", "service.instance.id=a")]).await;
    platform.nats.stop().await;
    let answer = first.create(some_task("published later")).await.expect(200);
    // On its way out it sends what is left.
    first.terminate();
    assert!(first.ended().await.success());
    let append = collector.span("append", |span| span.get("vtid_ledger.vtid") == answer.vtid()).await;
    platform.nats.start().await;
    let _second =
        traced(&platform, &collector.url, &[("OTEL_RESOURCE_ATTRIBUTES", "service.instance.id=b")]).await;
    let publish = collector.span("publish", |span| span.get("vtid_ledger.vtid") == answer.vtid()).await;
    assert_eq!(append.of_process("service.instance.id"), "a");
    assert_eq!(publish.of_process("service.instance.id"), "b");
    assert_eq!((&publish.trace, &publish.parent), (&append.trace, &append.parent));
}
