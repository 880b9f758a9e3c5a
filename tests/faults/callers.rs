//! Callers that write and read all at once, try again with the same key whatever got no answer, and remember everything.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use fastrand::Rng;
use reqwest::Client;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::history::{Asked, Call, Moment, Told};
use super::requests::Request;
use super::told::told;
use crate::support::eventually;

/// Between two requests of one caller.
const PAUSE: Duration = Duration::from_millis(8);
/// Before a write is tried again.
const RETRY_PAUSE: Duration = Duration::from_millis(120);
/// A caller gives up waiting for an answer after that.
const PATIENCE: Duration = Duration::from_secs(10);
/// Tries of one write at most: more than there is time for while a primary's place is taken after its lease has run out.
const TRIES: usize = 400;
/// What the names of a flood's callers begin with.
const FLOOD: &str = "flood";
/// So many of the first tasks are written to by everybody, all the time.
const SHARED_TASKS: usize = 6;

/// Which process of the ledger is asked, and where.
#[derive(Clone, Debug)]
pub(crate) struct Target {
    pub(crate) base: String,
    pub(crate) process: u32,
}

/// What all callers of a round share.
pub(crate) struct Scene {
    begun: Instant,
    /// None, while there is no process.
    targets: Mutex<Vec<Target>>,
    /// Every task that was acknowledged.
    tasks: Mutex<Vec<String>>,
    history: Mutex<Vec<Call>>,
    client: Client,
    acknowledged: AtomicUsize,
    /// The highest position that anybody was told.
    position: AtomicU64,
}

impl Scene {
    /// Spreads everything over these from now on.
    pub(crate) fn retarget(&self, targets: Vec<Target>) {
        *self.targets.lock().unwrap() = targets;
    }

    /// How many writes were acknowledged.
    pub(crate) fn acknowledged(&self) -> usize {
        self.acknowledged.load(Ordering::Relaxed)
    }

    /// The highest position that anybody was told.
    pub(crate) fn position(&self) -> u64 {
        self.position.load(Ordering::Relaxed)
    }

    /// Whether a write that was sent since is acknowledged.
    pub(crate) fn acknowledged_since(&self, since: Instant) -> bool {
        let since = since.duration_since(self.begun);
        let history = self.history.lock().unwrap();
        history.iter().rev().any(|call| call.sent > since && call.acknowledged().is_some())
    }

    /// Waits until so many further writes are acknowledged.
    pub(crate) async fn further(&self, count: usize) {
        let goal = self.acknowledged() + count;
        eventually(&format!("{count} further writes"), async || (self.acknowledged() >= goal).then_some(()))
            .await;
    }

    fn now(&self) -> Moment {
        self.begun.elapsed()
    }

    /// The middle one of how long the last so many answers took.
    pub(crate) fn latency(&self, sample: usize) -> Duration {
        let history = self.history.lock().unwrap();
        let last = history.iter().rev().filter(|call| !call.request.starts_with(FLOOD)).take(sample);
        let mut took: Vec<Duration> = last.map(Call::took).collect();
        took.sort_unstable();
        took.get(took.len() / 2).copied().unwrap_or_default()
    }

    fn keep(&self, call: Call) {
        if let Some(position) = call.acknowledged() {
            self.acknowledged.fetch_add(1, Ordering::Relaxed);
            self.position.fetch_max(position, Ordering::Relaxed);
        }
        self.history.lock().unwrap().push(call);
    }
}

/// Callers under way.
pub(crate) struct Callers {
    pub(crate) scene: Arc<Scene>,
    stop: CancellationToken,
    running: JoinSet<()>,
    flood: Option<Flood>,
}

/// Many more callers, for a while.
struct Flood {
    stop: CancellationToken,
    callers: JoinSet<()>,
    /// How long an answer took before.
    before: Duration,
}

impl Callers {
    /// So many; `seed` decides what each asks for.
    pub(crate) fn start(targets: Vec<Target>, count: u64, seed: u64) -> Self {
        let scene = Arc::new(Scene {
            begun: Instant::now(),
            targets: Mutex::new(targets),
            tasks: Mutex::default(),
            history: Mutex::default(),
            client: vtid_ledger::fetch::client().no_proxy().timeout(PATIENCE).build().unwrap(),
            acknowledged: AtomicUsize::new(0),
            position: AtomicU64::new(0),
        });
        let (stop, mut running) = (CancellationToken::new(), JoinSet::new());
        for number in 0..count {
            let name = format!("caller-{number}");
            let caller = Caller::new(Arc::clone(&scene), name, seed.wrapping_add(number));
            running.spawn(caller.run(PAUSE, stop.clone()));
        }
        Self { scene, stop, running, flood: None }
    }

    /// Lets loose so many more, which do not pause; `before` is how long an answer has taken so far.
    pub(crate) fn flood(&mut self, count: u64, before: Duration) {
        let (stop, mut callers) = (CancellationToken::new(), JoinSet::new());
        for number in 0..count {
            let caller = Caller::new(Arc::clone(&self.scene), format!("{FLOOD}-{number}"), number);
            callers.spawn(caller.run(Duration::ZERO, stop.clone()));
        }
        self.flood = Some(Flood { stop, callers, before });
    }

    /// Ends the flood, once each of its callers has its answer.
    pub(crate) async fn ebb(&mut self) {
        let flood = self.flood.as_mut().expect("there was one");
        flood.stop.cancel();
        while let Some(ended) = flood.callers.join_next().await {
            ended.unwrap();
        }
    }

    /// How many of the flood's requests were told what `of` takes.
    pub(crate) fn flooded(&self, of: impl Fn(&Told) -> bool) -> usize {
        let history = self.scene.history.lock().unwrap();
        history.iter().filter(|call| call.request.starts_with(FLOOD) && of(&call.told)).count()
    }

    /// How long an answer took before the flood.
    pub(crate) fn before_flood(&self) -> Duration {
        self.flood.as_ref().map_or(Duration::ZERO, |flood| flood.before)
    }

    /// Ends the callers once each has its answer; gives what they were told.
    pub(crate) async fn stop(mut self) -> Vec<Call> {
        self.stop.cancel();
        while let Some(ended) = self.running.join_next().await {
            ended.unwrap();
        }
        std::mem::take(&mut self.scene.history.lock().unwrap())
    }
}

/// One caller, with one request at a time.
struct Caller {
    scene: Arc<Scene>,
    name: String,
    written: usize,
    random: Rng,
}

impl Caller {
    fn new(scene: Arc<Scene>, name: String, seed: u64) -> Self {
        Self { scene, name, written: 0, random: Rng::with_seed(seed) }
    }

    async fn run(mut self, pause: Duration, stop: CancellationToken) {
        while !stop.is_cancelled() {
            self.ask(&stop).await;
            tokio::time::sleep(pause).await;
        }
    }

    /// Asks for something, and tries a write again until it is known what became of it.
    async fn ask(&mut self, stop: &CancellationToken) {
        let key = format!("{}-{}", self.name, self.written);
        self.written += 1;
        let (task, newest) = (self.task(), self.scene.position());
        let request = Request::choose(&self.name, &key, task, newest, &mut self.random);
        for attempt in 0..TRIES {
            let Some(call) = self.send(&request, &key, attempt).await else {
                // There is no process to ask.
                tokio::time::sleep(RETRY_PAUSE).await;
                if stop.is_cancelled() {
                    return;
                }
                continue;
            };
            let created = match &call.told {
                Told::Written { seen, .. } if matches!(call.asked, Asked::Create { .. }) => {
                    seen.row["vtid"].as_str().map(str::to_owned)
                }
                _ => None,
            };
            self.scene.tasks.lock().unwrap().extend(created);
            let open = call.is_open();
            self.scene.keep(call);
            if !open || stop.is_cancelled() {
                break;
            }
            tokio::time::sleep(RETRY_PAUSE).await;
        }
        if self.random.u8(..) < 16 {
            self.repeat(&request, &key).await;
        }
    }

    /// Once more with the same key, though its answer is known; or with another body, which is refused.
    async fn repeat(&mut self, request: &Request, key: &str) {
        if request.asked.is_read() {
            return;
        }
        let mut again = request.clone();
        if self.random.bool() {
            again.body = again.body.replacen('{', r#"{"assignedTo":"somebody else","#, 1);
        }
        if let Some(call) = self.send(&again, key, TRIES).await {
            self.scene.keep(call);
        }
    }

    fn task(&mut self) -> Option<String> {
        let tasks = self.scene.tasks.lock().unwrap();
        let among = if self.random.bool() { tasks.len().min(SHARED_TASKS) } else { tasks.len() };
        (among > 0).then(|| tasks[self.random.usize(..among)].clone())
    }

    /// None where there is no process to ask.
    async fn send(&self, request: &Request, key: &str, attempt: usize) -> Option<Call> {
        let Target { base, process } = {
            let targets = self.scene.targets.lock().unwrap();
            // A write that is tried again is another's.
            targets.get((self.written + attempt) % targets.len().max(1))?.clone()
        };
        let id = format!("{key}.{attempt}");
        let mut built = self.scene.client.request(request.method.clone(), format!("{base}{}", request.path));
        built = built.header("x-request-id", &id);
        if !request.asked.is_read() {
            built = built.header("idempotency-key", key).header("content-type", "application/json");
            built = built.body(request.body.clone());
        } else if request.asked.at_least() > 0 {
            built = built.header("ledger-min-position", request.asked.at_least());
        }
        let sent = self.scene.now();
        let answer = answer(built).await;
        let answered = self.scene.now();
        let (asked, key) = (request.asked.clone(), key.to_owned());
        let told = told(&asked, answer);
        Some(Call { request: id, key, asked, process, sent, answered, told })
    }
}

/// None where there is none, or not all of it.
async fn answer(request: reqwest::RequestBuilder) -> Option<super::told::Answer> {
    let response = request.send().await.ok()?;
    let (status, headers) = (response.status().as_u16(), response.headers().clone());
    let body = response.json().await.ok()?;
    Some(super::told::Answer { status, headers, body })
}
