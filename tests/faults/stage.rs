//! The servers and the process that are struck: a cluster, a NATS server and a network of their own.

use std::path::PathBuf;
use std::process::Stdio;
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::sys::signal::{Signal, kill};
use serde_json::{Value, json};
use sqlx::{Connection, PgConnection};
use tempfile::TempDir;
use vtid_ledger::clock::Clock;
use vtid_ledger::dev::{PostgresOptions, PostgresServer, ServiceLogin};
use vtid_ledger::domain::time::Timestamp;

use super::callers::{Scene, Target};
use super::clock::FalseClock;
use super::disk::SmallDisk;
use super::flood::SERVED_AT_ONCE;
use super::wire::Wire;
use crate::support::probes::pid;
use crate::support::service::{Ended, Service, program_on, run_program};
use crate::support::{NatsFlavor, TestNats, eventually, folder, nats, program};

/// A clock that is ahead by less is believed.
const FOR_YEARS_S: u64 = 100_000_000;
const LAST_LINES: usize = 40;
/// Longer than anything takes to be whole again, and shorter than it is waited for.
const LONG: Duration = Duration::from_secs(20);
const DATABASE: &str = "ledger";
/// Shorter than the defaults, so that a round is.
const SETTINGS: [&str; 4] = ["--database-timeout-ms", "1000", "--write-deadline-ms", "2500"];

/// What a round may need beyond the servers.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Need {
    /// A disk for the database that can be filled.
    SmallDisk,
    /// A clock that can be set.
    Clock,
    /// The ledger believes its own clock, whatever the database's says.
    TrustInItsClock,
    /// The ledger serves few requests at once.
    FewRequests,
    /// The ledger reads everything from its read table, nothing from memory.
    NoMemory,
    /// Three processes of the ledger.
    Replicas,
    /// The oldest NATS that is supported.
    OldestNats,
}

impl Need {
    /// Why this machine can't give it, where it can't.
    pub(crate) fn missing(self) -> Option<String> {
        let folder = folder();
        let refused = match self {
            Self::SmallDisk => SmallDisk::mount(&folder.path().join("disk")).err(),
            Self::Clock => FalseClock::make(folder.path()).err(),
            Self::TrustInItsClock
            | Self::FewRequests
            | Self::NoMemory
            | Self::Replicas
            | Self::OldestNats => None,
        };
        refused.map(|error| error.to_string())
    }

    /// What the ledger is told for it, if anything.
    fn argument(self) -> Option<[String; 2]> {
        let (flag, value) = match self {
            Self::TrustInItsClock => ("--clock-ahead-max-s", FOR_YEARS_S),
            Self::FewRequests => ("--http-requests", SERVED_AT_ONCE),
            Self::NoMemory => ("--read-memory-mib", 0),
            Self::SmallDisk | Self::Clock | Self::Replicas | Self::OldestNats => return None,
        };
        Some([flag.to_owned(), value.to_string()])
    }
}

/// A process of the ledger, and which one of all that were started.
struct Replica {
    service: Option<Service>,
    process: u32,
}

impl Replica {
    /// None while it was killed and not started again.
    fn target(&self) -> Option<Target> {
        let base = self.service.as_ref()?.base().to_owned();
        Some(Target { base, process: self.process })
    }
}

/// All of it. Fields are dropped in this order: the processes first, the folder last.
pub(crate) struct Stage {
    replicas: Vec<Replica>,
    /// The one that is struck, where one is.
    struck: usize,
    started: u32,
    flavor: NatsFlavor,
    pub(crate) wire: Wire,
    pub(crate) nats: TestNats,
    postgres: Option<PostgresServer>,
    postgres_options: PostgresOptions,
    login: ServiceLogin,
    clock: Option<FalseClock>,
    arguments: Vec<String>,
    disk: Option<SmallDisk>,
    /// What is mounted in it can't be removed.
    _folder: TempDir,
}

impl Stage {
    /// Starts everything, and waits until it is ready.
    pub(crate) async fn set(needs: &[Need]) -> Self {
        let folder = folder();
        let disk =
            needs.contains(&Need::SmallDisk).then(|| SmallDisk::mount(&folder.path().join("disk")).unwrap());
        let place: PathBuf = disk.as_ref().map_or(folder.path(), SmallDisk::path).join("postgres");
        let mut postgres_options = PostgresOptions::new(place, program());
        postgres_options.remove_on_drop = true;
        if disk.is_some() {
            postgres_options.settings = super::disk::settings();
        }
        let postgres = PostgresServer::start(&postgres_options).await.unwrap();
        postgres.create_database(DATABASE).await.unwrap();
        let login = postgres.service_login().await.unwrap();
        vtid_ledger::database::migrate(&postgres.url(DATABASE)).await.unwrap();
        let wire = Wire::start().await;
        wire.lead_to(format!("127.0.0.1:{}", postgres.port()));
        let arguments = needs.iter().filter_map(|need| need.argument());
        let arguments = SETTINGS.map(str::to_owned).into_iter().chain(arguments.flatten()).collect();
        let count = if needs.contains(&Need::Replicas) { 3 } else { 1 };
        let flavor = if needs.contains(&Need::OldestNats) { NatsFlavor::Oldest } else { NatsFlavor::Current };
        let mut stage = Self {
            replicas: (0..count).map(|_| Replica { service: None, process: 0 }).collect(),
            struck: 0,
            started: 0,
            flavor,
            wire,
            nats: nats(flavor).await,
            postgres: Some(postgres),
            postgres_options,
            login,
            clock: needs.contains(&Need::Clock).then(|| FalseClock::make(folder.path()).unwrap()),
            arguments,
            _folder: folder,
            disk,
        };
        for replica in 0..count {
            stage.struck = replica;
            stage.start_ledger();
        }
        stage.ready().await;
        stage
    }

    /// The owner's address, past the network.
    pub(crate) fn database_url(&self) -> String {
        self.postgres().url(DATABASE)
    }

    fn postgres(&self) -> &PostgresServer {
        self.postgres.as_ref().expect("PostgreSQL was killed and not started again")
    }

    pub(crate) async fn owner(&self) -> PgConnection {
        PgConnection::connect(&self.database_url()).await.unwrap()
    }

    /// What it consists of.
    pub(crate) fn describe(&self) -> String {
        format!("{} of the ledger, NATS: {:?}", self.replicas.len(), self.flavor)
    }

    /// Which of its processes is struck.
    pub(crate) fn strike_at(&mut self, number: u64) {
        self.struck = usize::try_from(number % self.replicas.len() as u64).unwrap();
    }

    /// The one that is struck.
    pub(crate) fn service(&self) -> &Service {
        let service = self.replicas[self.struck].service.as_ref();
        service.expect("the ledger was killed and not started again")
    }

    /// All that run.
    pub(crate) fn services(&self) -> impl Iterator<Item = &Service> {
        self.replicas.iter().filter_map(|replica| replica.service.as_ref())
    }

    /// Where callers find the one that is struck.
    pub(crate) fn target(&self) -> Target {
        self.replicas[self.struck].target().expect("the ledger was killed and not started again")
    }

    /// Where callers find the ledger.
    pub(crate) fn targets(&self) -> Vec<Target> {
        self.replicas.iter().filter_map(Replica::target).collect()
    }

    /// Where they find those that are not struck.
    pub(crate) fn other_targets(&self) -> Vec<Target> {
        let others = self.replicas.iter().enumerate().filter(|(index, _)| *index != self.struck);
        others.filter_map(|(_, replica)| replica.target()).collect()
    }

    /// Whether the ledger was never killed.
    pub(crate) fn is_first_process(&self) -> bool {
        self.started == 1
    }

    /// SIGSTOP or SIGCONT.
    pub(crate) fn signal_ledger(&self, signal: Signal) {
        kill(self.service().pid(), signal).unwrap();
    }

    pub(crate) fn start_ledger(&mut self) {
        let direct = self.postgres().service_url(&self.login, DATABASE);
        let port = self.postgres().port();
        let url = direct.replace(&format!("127.0.0.1:{port}"), self.wire.address());
        let mut command = program_on(&url, &self.nats.url());
        command.args(["serve", "--listen", "127.0.0.1:0"]).args(&self.arguments).stdout(Stdio::null());
        if let Some(clock) = &self.clock {
            clock.drive(&mut command);
        }
        self.started += 1;
        self.replicas[self.struck] =
            Replica { service: Some(Service::start(command)), process: self.started };
    }

    /// SIGKILL.
    pub(crate) fn kill_ledger(&mut self, scene: &Scene) {
        // Somebody else may get its port.
        scene.retarget(self.other_targets());
        self.replicas[self.struck].service.take().expect("it runs").kill();
    }

    /// SIGKILL of the postmaster, whose children end with it.
    pub(crate) async fn kill_postgres(&mut self) {
        let server = self.postgres.take().expect("it runs");
        if server.is_running() {
            kill(pid(server.pid()), Signal::SIGKILL).unwrap();
        }
        server.stop().await.unwrap();
    }

    /// Starts it again, and returns once it answers.
    pub(crate) async fn start_postgres(&mut self) {
        let server = PostgresServer::start(&self.postgres_options).await.unwrap();
        self.wire.lead_to(format!("127.0.0.1:{}", server.port()));
        self.postgres = Some(server);
    }

    pub(crate) fn disk(&self) -> &SmallDisk {
        self.disk.as_ref().expect("the stage was set with one")
    }

    /// Has the ledger's clock be so far ahead; where there is a ledger, it says so itself.
    pub(crate) async fn set_clock(&self, ahead_s: i64) {
        self.clock.as_ref().expect("the stage was set with one").set(ahead_s);
        for service in self.services().filter(|service| !is_stopped(service)) {
            let told = service.get("/vtid/health").await.body["timestamp"].clone();
            let told = Timestamp::parse(told.as_str().unwrap()).unwrap().millis();
            let wrong = told - Clock::system().now().millis() - 1_000 * ahead_s;
            assert!(wrong.abs() < 60_000, "the clock is {wrong} ms from where it was set to");
        }
    }

    /// Gives the database's disk its room back, and starts the server again where it has given up meanwhile.
    pub(crate) async fn empty_disk(&mut self) {
        self.disk().empty();
        if !self.postgres().is_running() {
            self.kill_postgres().await;
            self.start_postgres().await;
        }
    }

    /// Whether `PostgreSQL` has said so, in its log or to a process of the ledger: on a disk that is full, it can't always log.
    pub(crate) fn postgres_said(&self, what: &str) -> bool {
        let log = std::fs::read(self.postgres_options.folder.join("server.log")).unwrap();
        let was_told = |service: &Service| service.log_text().contains(what);
        String::from_utf8_lossy(&log).contains(what) || self.services().any(was_told)
    }

    /// Stops all servers, so that nothing is left of them.
    pub(crate) async fn strike_the_set(mut self) {
        self.replicas.clear();
        if let Some(postgres) = self.postgres.take() {
            postgres.stop().await.unwrap();
        }
    }

    /// SIGSTOP or SIGCONT, to all of its processes.
    pub(crate) fn signal_postgres(&self, signal: Signal) {
        let postmaster = self.postgres().pid();
        kill(pid(postmaster), signal).unwrap();
        for child in children_of(postmaster) {
            let sent = kill(pid(child), signal);
            assert!(matches!(sent, Ok(()) | Err(Errno::ESRCH)), "{sent:?}");
        }
    }

    /// A command of the program, as the operator would run it.
    pub(crate) async fn run(&self, arguments: &[&str]) -> Ended {
        let url = self.postgres().service_url(&self.login, DATABASE);
        run_program(&url, &self.nats.url(), arguments).await
    }

    /// What `/readyz` of each says, if it is 200 everywhere.
    async fn readiness(&self) -> Option<Vec<Value>> {
        let mut all = Vec::new();
        for service in self.services() {
            let ready = service.try_send(service.request(reqwest::Method::GET, "/readyz")).await?;
            all.push((ready.status == 200).then_some(ready.body)?);
        }
        Some(all)
    }

    /// Waits until it is ready.
    async fn ready(&self) {
        eventually("the ledger is ready", async || self.readiness().await).await;
    }

    /// Waits until it is ready and has acknowledged a write that was sent after `since`; gives how long after that was.
    pub(crate) async fn ready_since(&self, since: Instant, scene: &Scene) -> Duration {
        eventually("the ledger is ready, and takes writes", async || {
            let is_ready = self.readiness().await.is_some();
            (is_ready && scene.acknowledged_since(since)).then(|| since.elapsed())
        })
        .await
    }

    /// Waits until nothing is degraded, and every follower has what was acknowledged before `since`; gives how long after
    /// that was.
    pub(crate) async fn whole_since(&self, since: Instant, scene: &Scene) -> Duration {
        let position = scene.position();
        let (mut last, mut checked, begun) = (json!([]), false, Instant::now());
        eventually("nothing is degraded, and no follower behind", async || {
            // So that it is known what it was, should it be given up.
            if !checked && begun.elapsed() > LONG {
                checked = true;
                println!("    {:?}", self.run(&["oasis", "check"]).await);
            }
            let ready = self.readiness().await?;
            let degraded = ready.iter().filter_map(|ready| ready["degraded"].as_array()).flatten();
            let degraded: Value = degraded.cloned().collect();
            if degraded != last {
                last = degraded;
                println!("    degraded: {last}");
            }
            let followers: Vec<&Value> =
                ready.iter().filter_map(|ready| ready["followers"].as_array()).flatten().collect();
            // Those of a process that has the lease.
            let caught_up = ["projector", "relay"].into_iter().all(|name| {
                followers.iter().any(|follower| {
                    follower["name"] == name
                        && follower["leads"] == true
                        && follower["position"].as_u64() >= Some(position)
                })
            });
            (caught_up && last == json!([])).then(|| since.elapsed())
        })
        .await
    }
}

impl Drop for Stage {
    /// What the ledger said last, where a test fails.
    fn drop(&mut self) {
        for service in self.services().filter(|_| std::thread::panicking()) {
            println!("  {}:", service.base());
            let lines = service.log_lines();
            lines[lines.len().saturating_sub(LAST_LINES)..].iter().for_each(|line| println!("{line}"));
        }
    }
}

/// Whether it is frozen: it would not answer.
fn is_stopped(service: &Service) -> bool {
    let state =
        std::process::Command::new("ps").args(["-o", "stat=", "-p", &service.pid().to_string()]).output();
    state.unwrap().stdout.first() == Some(&b'T')
}

/// The processes that this one started.
pub(crate) fn children_of(parent: u32) -> Vec<u32> {
    let list = std::process::Command::new("ps").args(["-A", "-o", "ppid=", "-o", "pid="]).output().unwrap();
    let list = String::from_utf8(list.stdout).unwrap();
    list.lines()
        .filter_map(|line| line.trim().split_once(char::is_whitespace))
        .filter(|(of, _)| *of == parent.to_string())
        .map(|(_, child)| child.trim().parse().unwrap())
        .collect()
}
