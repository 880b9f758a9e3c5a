//! Three processes on one database and one NATS, under load on all of them: the work moves by itself from one that dies,
//! freezes or is told to stop, and nothing is lost, doubled or out of order.

use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use reqwest::StatusCode;
use sqlx::PgConnection;
use vtid_ledger::leases::table::{give_back, keep, look};
use vtid_ledger::leases::{ProcessId, Role};

use crate::support::eventually;
use crate::support::load::{Load, assert_kept};
use crate::support::service::{Answer, Platform, Service, platform, some_task};
use crate::support::stream::assert_stream_is_the_log;

/// Longer than a lease lasts.
const FROZEN_FOR: Duration = Duration::from_secs(5);
const ANOTHER: ProcessId = ProcessId(uuid::Uuid::from_u128(7));
/// Of a process that has no key to seal with; `sealer::replicas` has the third.
const ROLES: [Role; 2] = [Role::Projector, Role::Relay];
const PAUSE: Duration = Duration::from_millis(20);

struct Replicas {
    platform: Platform,
    connection: PgConnection,
    services: Vec<Service>,
}

impl Replicas {
    async fn start(count: usize) -> Self {
        let platform = platform().await;
        let connection = platform.connection().await;
        let mut services = Vec::new();
        for _ in 0..count {
            services.push(platform.serve().await);
        }
        let mut replicas = Self { platform, connection, services };
        for role in ROLES {
            replicas.holder(role).await;
        }
        replicas
    }

    /// Which of them holds the role: as `PostgreSQL` tells, and as the processes themselves, exactly one of them.
    async fn holder(&mut self, role: Role) -> usize {
        eventually(&format!("one process to be the {role}"), async || {
            let standing = look(&mut self.connection, role).await.unwrap().filter(|one| one.left_ms > 0)?;
            let mut holders = Vec::new();
            for (index, service) in self.services.iter().enumerate() {
                let ready = service.try_send(service.request(reqwest::Method::GET, "/readyz")).await?;
                let followers = ready.body["followers"].as_array()?;
                let follower = followers.iter().find(|follower| follower["name"] == role.name())?;
                if follower["leads"] == true {
                    assert_eq!(follower["holder"], ready.body["process"], "{ready:?}");
                    holders.push((index, ready.body["process"].clone()));
                }
            }
            let [(index, process)] = holders.as_slice() else { return None };
            (*process == standing.holder.to_string()).then_some(*index)
        })
        .await
    }

    /// Waits until another process than that holds the role, and prints how long that took.
    async fn moves_from(&mut self, process: &str, role: Role, since: Instant) {
        eventually(&format!("another process to be the {role}"), async || {
            let standing = look(&mut self.connection, role).await.unwrap()?;
            (standing.left_ms > 0 && standing.holder.to_string() != process).then_some(())
        })
        .await;
        let took = since.elapsed();
        println!("the {role} moved within {took:?}");
        assert!(took < Duration::from_secs(15), "{took:?}");
    }

    /// How a process calls itself.
    async fn process(&self, index: usize) -> String {
        self.services[index].get("/readyz").await.body["process"].as_str().unwrap().to_owned()
    }

    /// Where they are served, but for one.
    fn bases(&self, without: Option<usize>) -> Vec<String> {
        let services = self.services.iter().enumerate().filter(|(index, _)| Some(*index) != without);
        services.map(|(_, service)| service.base().to_owned()).collect()
    }

    fn load(&self) -> Load {
        let services: Vec<&Service> = self.services.iter().collect();
        Load::start(&services, 6, PAUSE)
    }

    /// Everything that was acknowledged is in the log, the log is the stream, and the read table is the log's fold.
    async fn end(mut self, load: Load) {
        let acknowledged = load.stop().await;
        let log = assert_stream_is_the_log(self.platform.database.url(), &self.platform.nats.url()).await;
        assert_kept(&log, &acknowledged);
        let head = log.last().unwrap().event.position.get();
        eventually("the read table to have every event", async || {
            let status = self.platform.run(&["projection", "status"]).await.succeeded();
            status.contains(&format!("position    {head} of {head} (0 behind)")).then_some(())
        })
        .await;
        let options = vtid_ledger::log::connect::options(self.platform.database.url(), "test").unwrap();
        let walked = vtid_ledger::projections::rebuild::diff(&options, |_, found| {
            assert!(found.is_empty(), "{found:?}");
        });
        assert!(walked.await.unwrap().tasks > 0);
        for role in ROLES {
            self.holder(role).await;
        }
        let holds: i64 = sqlx::query_scalar("select count(*) from ledger.hold")
            .fetch_one(&mut self.connection)
            .await
            .unwrap();
        assert_eq!(holds, 0, "no hold was set");
        println!("{} acknowledged, {head} events", acknowledged.len());
    }
}

#[tokio::test]
async fn the_work_of_a_holder_that_dies_goes_on_elsewhere() {
    let mut replicas = Replicas::start(3).await;
    let load = replicas.load();
    load.further(50).await;
    for role in ROLES {
        let holder = replicas.holder(role).await;
        let process = replicas.process(holder).await;
        replicas.services[holder].kill();
        let since = Instant::now();
        replicas.moves_from(&process, role, since).await;
        // Another takes its place: there are three again.
        replicas.services[holder] = replicas.platform.serve().await;
        load.send_to(replicas.bases(None));
        load.further(50).await;
    }
    replicas.end(load).await;
}

#[tokio::test]
async fn a_holder_that_was_frozen_does_no_harm_when_it_wakes() {
    let mut replicas = Replicas::start(3).await;
    let load = replicas.load();
    for role in ROLES {
        load.further(50).await;
        let holder = replicas.holder(role).await;
        let (process, pid) = (replicas.process(holder).await, replicas.services[holder].pid());
        // Those who wait for the frozen process are left to it.
        load.send_to(replicas.bases(Some(holder)));
        kill(pid, Signal::SIGSTOP).unwrap();
        let since = Instant::now();
        replicas.moves_from(&process, role, since).await;
        eventually("the lease to be long over", async || (since.elapsed() > FROZEN_FOR).then_some(())).await;
        load.further(20).await;
        kill(pid, Signal::SIGCONT).unwrap();
        load.send_to(replicas.bases(None));
        load.further(50).await;
        let now = replicas.holder(role).await;
        assert_ne!(replicas.process(now).await, process, "it is another's now");
    }
    replicas.end(load).await;
}

#[tokio::test]
async fn a_rolling_restart_hands_the_work_over() {
    let mut replicas = Replicas::start(3).await;
    let load = replicas.load();
    for index in 0..3 {
        load.further(30).await;
        let process = replicas.process(index).await;
        load.send_to(replicas.bases(Some(index)));
        replicas.services[index].terminate();
        replicas.services[index].ended().await;
        let since = Instant::now();
        for role in ROLES {
            replicas.moves_from(&process, role, since).await;
        }
        replicas.services[index] = replicas.platform.serve().await;
        load.send_to(replicas.bases(None));
    }
    load.further(30).await;
    replicas.end(load).await;
}

/// What a list costs that must show a write just acknowledged, where this process does not project; and that none fails
/// while nobody does.
#[tokio::test]
async fn a_list_shows_what_its_process_acknowledged_whoever_projects() {
    let mut replicas = Replicas::start(2).await;
    let holder = replicas.holder(Role::Projector).await;
    for (who, index) in [("the projector's", holder), ("another", 1 - holder)] {
        let mut took = Vec::new();
        for n in 0..50 {
            let created = replicas.services[index].create(some_task(&format!("{who} {n}"))).await.expect(200);
            let begun = Instant::now();
            let list = replicas.services[index].get("/vtid/list?limit=1").await.expect(200);
            took.push(begun.elapsed());
            assert_eq!(list.body["data"][0]["vtid"], created.vtid());
        }
        took.sort();
        println!(
            "{who} process: a list that shows its own write takes {:?}, at most {:?}",
            took[25], took[49]
        );
    }
    let process = replicas.process(holder).await;
    let pid = replicas.services[holder].pid();
    kill(pid, Signal::SIGSTOP).unwrap();
    let since = Instant::now();
    let mut slowest = Duration::ZERO;
    while since.elapsed() < FROZEN_FOR {
        let created = replicas.services[1 - holder].create(some_task("frozen")).await.expect(200);
        let begun = Instant::now();
        let list = replicas.services[1 - holder].get("/vtid/list?limit=1").await;
        assert_eq!(list.status, StatusCode::OK, "{list:?}");
        assert_eq!(list.body["data"][0]["vtid"], created.vtid());
        slowest = slowest.max(begun.elapsed());
    }
    println!("while the projector's process is frozen: {slowest:?} at most");
    kill(pid, Signal::SIGCONT).unwrap();
    replicas.moves_from(&process, Role::Projector, since).await;
}

/// As long as another holds the leases, and nobody waits for the read table, a process leaves the work to it: it takes
/// writes, compares stream and log before the first, and is ready. When they are given back it goes on at once.
#[tokio::test]
async fn a_process_without_the_leases_leaves_the_work_to_others() {
    let platform = platform().await;
    let mut owner = platform.connection().await;
    let (service, ready) = led_by_another(&platform, &mut owner).await;
    assert_eq!(ready.body["followers"][0]["leads"], false, "{ready:?}");
    let created = service.create(some_task("left to another")).await.expect(200);
    service.get(&format!("/vtid/{}", created.vtid())).await.expect(200);
    let since = Instant::now();
    eventually("others to have had their chance", async || {
        keep_all(&mut owner).await;
        let rows: i64 =
            sqlx::query_scalar(r#"select count(*) from "VtidLedger""#).fetch_one(&mut owner).await.unwrap();
        assert_eq!((rows, platform.stream_length().await), (0, 0));
        (since.elapsed() > Duration::from_secs(2)).then_some(())
    })
    .await;
    let status = platform.run(&["projection", "status"]).await.succeeded();
    assert!(status.contains(&format!("projector   {ANOTHER} (term 1)")), "{status}");
    // A reader does not wait for whoever has the lease and does nothing.
    let list = service.get("/vtid/list").await.expect(200);
    assert_eq!(list.body["data"][0]["vtid"], created.vtid());
    for role in ROLES {
        let number = keep(&mut owner, role, ANOTHER, 3_000).await.unwrap().number;
        assert!(give_back(&mut owner, role, ANOTHER, number).await.unwrap());
    }
    assert_stream_is_the_log(platform.database.url(), &platform.nats.url()).await;
}

/// Nor has it to project or relay to know that it can't read the log.
#[tokio::test]
async fn a_process_without_the_leases_is_not_ready_for_a_log_that_it_does_not_know() {
    let platform = platform().await;
    let mut owner = platform.connection().await;
    let (service, _) = led_by_another(&platform, &mut owner).await;
    service.create(some_task("known")).await.expect(200);
    platform.append_unknown_event().await;
    eventually("it not to be ready", async || {
        keep_all(&mut owner).await;
        let ready = service.get("/readyz").await;
        (ready.status == StatusCode::SERVICE_UNAVAILABLE && ready.text.contains("vtid-moved")).then_some(())
    })
    .await;
}

/// A process beside another one, which is only a row or two in the table, and does nothing.
async fn led_by_another(platform: &Platform, owner: &mut PgConnection) -> (Service, Answer) {
    keep_all(owner).await;
    let service = platform.spawn(&[]);
    let ready = eventually("it to be ready", async || {
        keep_all(owner).await;
        let ready = service.get("/readyz").await;
        let known = ready.body["followers"][1]["holder"] == ANOTHER.to_string();
        (ready.status == StatusCode::OK && known).then_some(ready)
    })
    .await;
    (service, ready)
}

async fn keep_all(owner: &mut PgConnection) {
    for role in ROLES {
        assert_eq!(keep(owner, role, ANOTHER, 3_000).await.unwrap().holder, ANOTHER);
    }
}
