//! The real program, served to a test: its own database, its own NATS, any free port.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use reqwest::{Client, Method, StatusCode};
use serde_json::Value;
use sqlx::{Connection, PgConnection};

use super::ledger::ByHand;
use super::nats::{NatsFlavor, TestNats, nats};
use super::postgres::{TestDatabase, database};
use super::{eventually, program};

/// A migrated database and a NATS server, on which processes of the ledger can be started.
pub(crate) struct Platform {
    pub(crate) database: TestDatabase,
    pub(crate) nats: TestNats,
}

/// Makes one, with the current NATS.
pub(crate) async fn platform() -> Platform {
    platform_on(NatsFlavor::Current).await
}

/// Makes one.
pub(crate) async fn platform_on(flavor: NatsFlavor) -> Platform {
    Platform { database: migrated_database().await, nats: nats(flavor).await }
}

/// A database in which the schema is.
pub(crate) async fn migrated_database() -> TestDatabase {
    let database = database().await;
    vtid_ledger::database::migrate(database.url()).await.unwrap();
    database
}

impl Platform {
    /// Runs a command of the program to its end, as an operator would, with the service's rights.
    pub(crate) async fn run(&self, arguments: &[&str]) -> Ended {
        run_program(self.database.service_url(), &self.nats.url(), arguments).await
    }

    /// A connection as the database's owner.
    pub(crate) async fn connection(&self) -> PgConnection {
        PgConnection::connect(self.database.url()).await.unwrap()
    }

    /// As a later version of the ledger might: appends an event of a type that this one does not know, to a ledger of
    /// one event.
    pub(crate) async fn append_unknown_event(&self) {
        let moved = ByHand { base: 1, position: 2, version: 2, kind: "vtid-moved", vtid: None, tenant: None };
        moved.append(&mut self.connection().await).await.unwrap();
    }

    /// How many messages the ledger's stream holds.
    pub(crate) async fn stream_length(&self) -> u64 {
        let client = async_nats::connect(self.nats.url()).await.unwrap();
        let mut stream = async_nats::jetstream::new(client).get_stream("OASIS_VTID_LEDGER").await.unwrap();
        stream.info().await.unwrap().state.last_sequence
    }

    /// Starts a process, and waits until it is ready.
    pub(crate) async fn serve(&self) -> Service {
        self.serve_with(&[]).await
    }

    /// Starts a process with further arguments, and waits until it is ready.
    pub(crate) async fn serve_with(&self, arguments: &[&str]) -> Service {
        let service = self.spawn(arguments);
        eventually("the ledger is ready", async || {
            let ready = service.get("/readyz").await;
            (ready.status == StatusCode::OK).then_some(())
        })
        .await;
        service
    }

    /// Starts a process, and waits until it listens.
    pub(crate) fn spawn(&self, arguments: &[&str]) -> Service {
        let mut command = program_on(self.database.service_url(), &self.nats.url());
        command.args(["serve", "--listen", "127.0.0.1:0"]).args(arguments).stdout(Stdio::null());
        Service::start(command)
    }
}

/// The program, open to everybody, on these servers.
pub(crate) fn program_on(database_url: &str, nats_url: &str) -> Command {
    let mut command = Command::new(program());
    command.env_clear().env("DATABASE_URL", database_url).env("NATS_URL", nats_url).env("AUTH", "off");
    command
}

/// Runs a command of the program to its end.
pub(crate) async fn run_program(database_url: &str, nats_url: &str, arguments: &[&str]) -> Ended {
    let mut command = tokio::process::Command::from(program_on(database_url, nats_url));
    let output = command.args(arguments).stdin(Stdio::null()).kill_on_drop(true).output();
    let output = tokio::time::timeout(Duration::from_mins(1), output).await.expect("it ends").unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    Ended { success: output.status.success(), out: text(output.stdout), error: text(output.stderr) }
}

/// What a command left behind.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) success: bool,
    pub(crate) out: String,
    pub(crate) error: String,
}

impl Ended {
    /// Asserts that it succeeded; gives what it printed.
    pub(crate) fn succeeded(self) -> String {
        assert!(self.success, "{self:?}");
        self.out
    }

    /// Asserts that it failed; gives what it said.
    pub(crate) fn failed(self) -> String {
        assert!(!self.success, "{self:?}");
        self.error
    }
}

/// Keeps the log's lines, and gives the address that one of them names.
fn read_log(stderr: std::process::ChildStderr, lines: Arc<Mutex<Vec<Value>>>) -> Receiver<String> {
    let (sender, addresses) = channel();
    std::thread::spawn(move || {
        for line in BufReader::new(stderr).lines().map_while(Result::ok) {
            let line: Value = serde_json::from_str(&line).unwrap_or(Value::String(line));
            if let Some(address) = line["address"].as_str() {
                let _ = sender.send(address.to_owned());
            }
            lines.lock().unwrap().push(line);
        }
    });
    addresses
}

/// A running process; killed when dropped.
pub(crate) struct Service {
    child: Child,
    base: String,
    client: Client,
    lines: Arc<Mutex<Vec<Value>>>,
}

/// What came back.
#[derive(Debug, Clone)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: reqwest::header::HeaderMap,
    /// The body's text.
    pub(crate) text: String,
    /// The body as JSON; null where it is none.
    pub(crate) body: Value,
}

impl Answer {
    /// A header's text; empty where it is not there.
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    /// The position that the answer bears.
    pub(crate) fn position(&self) -> u64 {
        self.header("ledger-position").parse().unwrap_or_else(|_| panic!("no position: {self:?}"))
    }

    /// The VTID of a write's answer: of its text, since the test's JSON library can't read every key that a task may have.
    pub(crate) fn vtid(&self) -> &str {
        let told = self.text.split_once(r#""vtid":""#).and_then(|(_, rest)| rest.split('"').next());
        told.unwrap_or_else(|| panic!("no vtid: {} {}", self.status, self.text))
    }

    /// Asserts the status, showing the whole answer where it is another.
    pub(crate) fn expect(self, status: u16) -> Self {
        assert_eq!(self.status.as_u16(), status, "{self:?}");
        self
    }
}

impl Service {
    /// Starts a process that logs in JSON, and waits until it listens.
    pub(crate) fn start(mut command: Command) -> Self {
        let mut child = command.stdin(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
        let lines: Arc<Mutex<Vec<Value>>> = Arc::default();
        let addresses = read_log(child.stderr.take().unwrap(), Arc::clone(&lines));
        let address = addresses.recv_timeout(Duration::from_mins(1));
        let client = vtid_ledger::fetch::client().no_proxy().timeout(Duration::from_mins(1)).build().unwrap();
        let mut service = Self { child, base: String::new(), client, lines };
        let address = address.unwrap_or_else(|_| panic!("it does not listen: {:?}", service.log_lines()));
        service.base = format!("http://{address}");
        service
    }

    /// Where it is served.
    pub(crate) fn base(&self) -> &str {
        &self.base
    }

    /// A request, to be sent by [`Service::send`].
    pub(crate) fn request(&self, method: Method, path: &str) -> reqwest::RequestBuilder {
        self.client.request(method, format!("{}{path}", self.base))
    }

    /// Sends a request; none where there was no answer.
    pub(crate) async fn try_send(&self, request: reqwest::RequestBuilder) -> Option<Answer> {
        let response = request.send().await.ok()?;
        let (status, headers) = (response.status(), response.headers().clone());
        let text = response.text().await.ok()?;
        let body = serde_json::from_str(&text).unwrap_or(Value::Null);
        Some(Answer { status, headers, text, body })
    }

    /// Sends a request.
    pub(crate) async fn send(&self, request: reqwest::RequestBuilder) -> Answer {
        self.try_send(request).await.expect("an answer")
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        self.send(self.request(Method::GET, path)).await
    }

    pub(crate) async fn create(&self, body: impl Into<String>) -> Answer {
        self.send(self.with_body(Method::POST, "/vtid/create", body)).await
    }

    pub(crate) async fn patch(&self, vtid: &str, body: impl Into<String>) -> Answer {
        self.send(self.with_body(Method::PATCH, &format!("/vtid/{vtid}"), body)).await
    }

    /// A request with a JSON body.
    pub(crate) fn with_body(
        &self,
        method: Method,
        path: &str,
        body: impl Into<String>,
    ) -> reqwest::RequestBuilder {
        self.request(method, path).header("content-type", "application/json").body(body.into())
    }

    /// All that it has logged so far.
    pub(crate) fn log_text(&self) -> String {
        self.log_lines().iter().map(Value::to_string).collect::<Vec<_>>().join("\n")
    }

    /// The lines that it has logged so far.
    pub(crate) fn log_lines(&self) -> Vec<Value> {
        self.lines.lock().unwrap().clone()
    }

    pub(crate) fn pid(&self) -> Pid {
        Pid::from_raw(i32::try_from(self.child.id()).unwrap())
    }

    /// SIGKILL: nothing is finished.
    pub(crate) fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// SIGTERM.
    pub(crate) fn terminate(&self) {
        kill(self.pid(), Signal::SIGTERM).unwrap();
    }

    /// Waits for its end, after [`Service::terminate`].
    pub(crate) async fn ended(&mut self) -> std::process::ExitStatus {
        let child = &mut self.child;
        eventually("the ledger ends", async || child.try_wait().unwrap()).await
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The body of a create like any other.
pub(crate) fn some_task(description: &str) -> String {
    let description = Value::from(description);
    format!(r#"{{"taskFamily":"DEPLOY","taskType":"service","description":{description},"tenant":"system"}}"#)
}
