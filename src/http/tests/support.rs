//! A served API, and callers of it.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use reqwest::{Method, RequestBuilder, Response};
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::auth::Auth;
use crate::clock::Clock;
use crate::domain::command::{Action, CreateTask};
use crate::domain::json::{Json, ParseLimits};
use crate::domain::metadata::Metadata;
use crate::domain::payload::parse_create;
use crate::domain::position::{Position, Version};
use crate::domain::status::Status;
use crate::domain::task::Task;
use crate::domain::time::Timestamp;
use crate::domain::vtid::Vtid;
use crate::http::ready::Readiness;
use crate::http::{Api, App, HttpLimits, at, closed, router, serve};
use crate::log::connect;
use crate::projections::connections::ReadConnections;
use crate::projections::read::Reader;
use crate::projections::status::ProjectorStatus;
use crate::telemetry::metrics::requests::RequestMetrics;
use crate::telemetry::traces::Traces;
use crate::writer::answer::{Accepted, WriteError};
use crate::writer::handle::{Submission, WriterHandle};

/// Long enough for anything that a test waits for.
pub(super) const DEADLINE: Duration = Duration::from_secs(30);

pub(super) const CREATE: &str = r#"{"taskFamily":"f","taskType":"t","description":"d","tenant":"acme"}"#;

pub(in crate::http) struct Server {
    pub(super) address: SocketAddr,
    /// The writer's end of the queue.
    pub(super) submissions: mpsc::Receiver<Submission>,
    pub(super) stop: CancellationToken,
    pub(super) serving: JoinHandle<()>,
    client: reqwest::Client,
}

pub(in crate::http) async fn start() -> Server {
    start_with(HttpLimits::default(), 16).await
}

pub(super) async fn start_with(limits: HttpLimits, queue: usize) -> Server {
    let (writer, submissions) = WriterHandle::new(queue);
    let (_, readiness) = watch::channel(Readiness::starting());
    let clock = Clock::new(|| Timestamp::from_millis(0));
    let api = Arc::new(Api {
        writer,
        reader: unreachable_reader(),
        audit: None,
        clock,
        readiness,
        auth: Arc::new(Auth::open()),
        limits: limits.clone(),
        origins: Vec::new(),
        metrics: RequestMetrics::default(),
        traces: Traces::off(),
    });
    let (auth, metrics) = (Arc::clone(&api.auth), api.metrics.clone());
    // A handler with a bug, under the same roof.
    let panics = axum::routing::get(|| async { panic!("a secret of the inside") as &str });
    let app = App::over(closed(at(router(api), "/panic", panics)), auth, limits, &[], metrics, Traces::off());
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let stop = CancellationToken::new();
    let serving = tokio::spawn(serve(listener, app, stop.clone()));
    Server { address, submissions, stop, serving, client: crate::fetch::client().build().unwrap() }
}

/// Reads from a database that is away.
fn unreachable_reader() -> Reader {
    let options = connect::options("postgres://nobody@127.0.0.1:1/nothing", "test").unwrap();
    let (_, status) = watch::channel(ProjectorStatus::default());
    Reader::acknowledging(ReadConnections::new(options, 1), status, || Position::ZERO)
}

impl Drop for Server {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

impl Server {
    pub(in crate::http) fn request(&self, method: &str, path: &str) -> RequestBuilder {
        let method = Method::from_bytes(method.as_bytes()).unwrap();
        self.client.request(method, format!("http://{}{path}", self.address))
    }

    /// A request with a JSON body.
    pub(super) fn json(&self, method: &str, path: &str, body: impl Into<reqwest::Body>) -> RequestBuilder {
        self.request(method, path).header("content-type", "application/json").body(body)
    }

    /// Sends a write, and has the writer answer it.
    pub(super) async fn write(
        &mut self,
        request: RequestBuilder,
        answer: impl FnOnce(&Submission) -> Result<Accepted, WriteError>,
    ) -> Response {
        let answered = tokio::spawn(request.send());
        let submission = self.submissions.recv().await.unwrap();
        let answer = answer(&submission);
        submission.answer.send(answer).unwrap();
        answered.await.unwrap().unwrap()
    }

    /// Sends bytes as they are, says no more, and reads to the end of the connection.
    pub(super) async fn raw(&self, request: &str) -> String {
        let mut stream = TcpStream::connect(self.address).await.unwrap();
        stream.write_all(request.as_bytes()).await.unwrap();
        read_to_end(&mut stream).await
    }
}

/// For a property of a parser: `FUZZ_CASES`, or ten thousand.
pub(in crate::http) fn fuzz_cases() -> proptest::test_runner::Config {
    let cases = std::env::var("FUZZ_CASES").ok().map_or(10_000, |cases| cases.parse().expect("a number"));
    proptest::test_runner::Config { cases, failure_persistence: None, ..Default::default() }
}

pub(super) async fn read_to_end(stream: &mut TcpStream) -> String {
    let mut answer = Vec::new();
    tokio::time::timeout(DEADLINE, stream.read_to_end(&mut answer)).await.unwrap().unwrap();
    String::from_utf8(answer).unwrap()
}

/// Checks that an answer is one of the contract's errors; gives its `detail`.
pub(super) async fn error(response: Response, status: u16, error: &str, code: &str) -> Value {
    assert_eq!(response.status().as_u16(), status);
    assert_eq!(response.headers()["content-type"], "application/json");
    assert!(response.headers().contains_key("x-request-id"));
    assert_eq!(response.headers().contains_key("retry-after"), status == 503);
    let mut body: Value = response.json().await.unwrap();
    let detail = body.as_object_mut().unwrap().remove("detail").expect("a detail");
    assert_eq!(body, serde_json::json!({"ok": false, "error": error, "code": code}));
    detail
}

/// The paths that a list of faults names.
pub(super) fn paths(detail: &Value) -> Vec<String> {
    let path = |fault: &Value| {
        assert!(fault["message"].is_string(), "{fault}");
        let keys = fault["path"].as_array().unwrap().iter().map(|key| key.as_str().unwrap());
        keys.collect::<Vec<_>>().join(".")
    };
    detail.as_array().expect("a list of faults").iter().map(path).collect()
}

pub(super) fn create_in(submission: &Submission) -> &CreateTask {
    match &submission.command.action {
        Action::Create(create) => create,
        other => panic!("{other:?}"),
    }
}

/// A task at version 3 and position 97.
pub(in crate::http) fn task() -> Task {
    let create = parse_create(CREATE.as_bytes()).unwrap();
    let metadata = br#"{"n":12345678901234567890123,"d":0.10}"#;
    let Ok(Json::Object(metadata)) =
        Json::parse(metadata, &ParseLimits { max_depth: 2 }).map(|parsed| parsed.value)
    else {
        panic!("an object")
    };
    Task {
        id: uuid::Uuid::nil(),
        vtid: Vtid::parse_possible("VTID-2026-0042").unwrap(),
        family: create.family,
        kind: create.kind,
        description: create.description,
        status: Status::Pending,
        assigned_to: None,
        tenant: create.tenant,
        metadata: Some(Metadata::new(metadata).unwrap()),
        parent: None,
        created_at: Timestamp::from_millis(0),
        updated_at: Timestamp::from_millis(1),
        version: Version::new(3),
        created_position: Position::new(90),
        position: Position::new(97),
    }
}

pub(super) fn accepted() -> Accepted {
    Accepted { task: Arc::new(task()), replayed: false }
}
