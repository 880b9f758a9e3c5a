//! The model of the stream is held to a real `JetStream`: both are driven with the same random steps, and each answer
//! must be the same.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use async_nats::HeaderMap;
use async_nats::jetstream::Context;
use async_nats::jetstream::stream::LastRawMessageErrorKind::NoMessageFound;
use fastrand::Rng;
use serde::Deserialize;
use uuid::Uuid;
use vtid_ledger::domain::position::Position;
use vtid_ledger::domain::record::LedgerId;
use vtid_ledger::oasis::message::{CE_ID, CE_POSITION, CE_SOURCE, MESSAGE_ID};
use vtid_ledger::oasis::published::{Found, Published};
use vtid_ledger::oasis::relay::machine::Answer;
use vtid_ledger::oasis::stream::{DEFAULT_NAME, StreamArgs, context, ensure};

use super::plain_log::{at, id};
use super::stream_model::{Lookup, StreamModel};
use crate::support::{NatsFlavor, StoreCopy, TestNats, eventually, nats};

const STEPS: usize = 600;
const SUBJECT: &str = "oasis.acme.vtid-ledger.vtid-created";
const LEDGER: LedgerId = LedgerId(Uuid::from_u128(7));
/// `JetStream` knows an id for at least so long.
const WINDOW: Duration = Duration::from_millis(100);
/// "Wrong last sequence".
const WRONG_LAST_SEQUENCE: u64 = 10071;

#[derive(Deserialize)]
struct PubAck {
    seq: Option<u64>,
    #[serde(default)]
    duplicate: bool,
    error: Option<PubError>,
}

#[derive(Debug, Deserialize)]
struct PubError {
    err_code: u64,
}

/// A real server and the model, side by side.
struct Pair {
    nats: TestNats,
    context: Context,
    model: StreamModel,
    random: Rng,
    numbers: u64,
    /// When each id was published last.
    published: BTreeMap<Uuid, Instant>,
    copy: Option<(StoreCopy, StreamModel)>,
    did: BTreeMap<String, u64>,
    seed: u64,
    step: usize,
}

impl Drop for Pair {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("seed {}, step {}: {:?}", self.seed, self.step, self.model);
        }
    }
}

impl Pair {
    async fn new(flavor: NatsFlavor, seed: u64) -> Self {
        let lookup = match flavor {
            NatsFlavor::Oldest => Lookup::IdFirst,
            NatsFlavor::Current => Lookup::SequenceFirst,
        };
        let nats = nats(flavor).await;
        Self {
            context: connect(&nats).await,
            nats,
            model: StreamModel::new(lookup),
            random: Rng::with_seed(seed),
            numbers: 0,
            published: BTreeMap::new(),
            copy: None,
            did: BTreeMap::new(),
            seed,
            step: 0,
        }
    }

    async fn step(&mut self) {
        match self.random.u32(..100) {
            0..30 => self.publish_next().await,
            30..55 => self.publish_any().await,
            55..85 => self.read().await,
            85..88 => {
                assert_eq!(self.publish_foreign().await, self.model.publish_foreign());
                self.note("foreign");
            }
            88..94 => {
                assert_eq!(last(&self.context).await, at(self.model.last()));
                self.note("looked");
            }
            94..98 => self.pass_window().await,
            _ => self.restart().await,
        }
    }

    fn note(&mut self, what: &str) {
        *self.did.entry(what.to_string()).or_default() += 1;
    }

    async fn publish_next(&mut self) {
        self.numbers += 1;
        self.publish(id(self.numbers), at(self.model.last() + 1)).await;
    }

    /// A new event or one that was published before, at the right place or at another.
    async fn publish_any(&mut self) {
        let recent = self.numbers.saturating_sub(4);
        let number =
            if self.random.bool() { self.numbers } else { self.random.u64(recent..=self.numbers + 1) };
        self.numbers = self.numbers.max(number);
        let last = self.model.last();
        let right = self.random.bool();
        let position = if right { last + 1 } else { self.random.u64(last.saturating_sub(3)..=last + 3) };
        self.publish(id(number.max(1)), at(position.max(1))).await;
    }

    async fn publish(&mut self, id: Uuid, position: Position) {
        let answer = self.really_publish(id, position).await;
        let mut model = self.model.clone();
        if answer != model.publish(id, position) {
            // All that may differ is what the server still knows of ids, and only once their time is over.
            let known_for = self.published.get(&id).map_or(Duration::ZERO, Instant::elapsed);
            assert!(
                known_for >= WINDOW,
                "{answer:?} to {position}, known for {known_for:?}: {:?}",
                self.model
            );
            model = self.model.clone();
            model.forget_id(id);
            assert_eq!(answer, model.publish(id, position), "the window has passed");
            self.note("told anew after the window");
        }
        self.model = model;
        match answer {
            Answer::Stored { .. } => self.note("stored"),
            answer => self.note(&format!("{answer:?}")),
        }
    }

    /// As the relay does it.
    async fn really_publish(&mut self, id: Uuid, position: Position) -> Answer {
        let mut headers = HeaderMap::new();
        headers.insert(MESSAGE_ID, id.to_string());
        headers.insert(CE_ID, id.to_string());
        headers.insert(CE_SOURCE, LEDGER.source());
        headers.insert(CE_POSITION, position.to_string());
        headers.insert("Nats-Expected-Last-Sequence", (position.get() - 1).to_string());
        let sent = Instant::now();
        let answer = self.send(headers).await;
        if matches!(answer, Answer::Stored { .. }) {
            self.published.insert(id, sent);
        }
        answer
    }

    async fn publish_foreign(&self) -> Answer {
        self.send(HeaderMap::new()).await
    }

    async fn send(&self, headers: HeaderMap) -> Answer {
        let client = self.context.client();
        let message = client.request_with_headers(SUBJECT, headers, "{}".into()).await.unwrap();
        match serde_json::from_slice(&message.payload).unwrap() {
            PubAck { error: Some(error), .. } => {
                assert_eq!(error.err_code, WRONG_LAST_SEQUENCE);
                Answer::Refused
            }
            PubAck { duplicate: true, .. } => Answer::Duplicate,
            PubAck { seq, .. } => Answer::Stored { sequence: seq.unwrap() },
        }
    }

    async fn read(&mut self) {
        let sequence = at(self.random.u64(1..=self.model.last() + 2));
        let stream = self.context.get_stream_no_info(DEFAULT_NAME).await.unwrap();
        let found = match stream.get_raw_message(sequence.get()).await {
            Ok(message) => {
                let header = |name: &str| message.headers.get(name).map(async_nats::HeaderValue::as_str);
                Published::found(Published::from_headers(header).as_ref(), LEDGER, sequence)
            }
            Err(error) => {
                assert_eq!(error.kind(), NoMessageFound, "{error}");
                Found::Nothing
            }
        };
        assert_eq!(found, self.model.read(sequence), "at sequence {sequence}");
        self.note(match found {
            Found::Ours(_) => "read ours",
            Found::Foreign => "read a foreign one",
            Found::Nothing => "read nothing",
        });
    }

    /// Waits until the newest id is no longer known.
    async fn pass_window(&mut self) {
        self.publish_next().await;
        let (newest, began) = (id(self.numbers), Instant::now());
        loop {
            // Expecting what it expected the first time, 2.9 shows its memory without storing anything; expecting
            // what is right, 2.15 shows it by not storing it.
            let position = match self.model.lookup() {
                Lookup::IdFirst => at(self.model.last()),
                Lookup::SequenceFirst => at(self.model.last() + 1),
            };
            let answer = self.really_publish(newest, position).await;
            if answer == Answer::Duplicate {
                assert!(began.elapsed() < Duration::from_secs(30), "the id is known without end");
                tokio::time::sleep(Duration::from_millis(5)).await;
                continue;
            }
            self.model.forget_ids();
            assert_eq!(answer, self.model.publish(newest, position));
            self.note("a window passed");
            return;
        }
    }

    /// Stops the server and starts it again: with what it had, with an older copy of it, or with nothing.
    async fn restart(&mut self) {
        // A server that starts takes the ids of the last window's messages out of its store.
        let begun = Instant::now();
        while begun.elapsed() <= WINDOW {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        match (self.random.u32(..4), self.copy.take()) {
            (0, copy) => {
                self.copy = copy;
                self.nats.wipe_store().await;
                self.model.lose_tail(0);
                self.note("store lost");
            }
            (1 | 2, Some((copy, then))) => {
                self.nats.restore_store(&copy).await;
                let kept = then.messages.len();
                if self.model.messages.starts_with(&then.messages) {
                    self.model.lose_tail(kept);
                    self.note("tail lost");
                } else {
                    self.model = then;
                    self.model.forget_ids();
                }
            }
            _ => {
                let copy = self.nats.snapshot_store().await;
                self.model.forget_ids();
                self.copy = Some((copy, self.model.clone()));
                self.note("restarted");
            }
        }
        self.context = connect(&self.nats).await;
    }
}

async fn connect(nats: &TestNats) -> Context {
    let context = context(async_nats::connect(nats.url()).await.unwrap());
    // A server that has just started may not have found its stream yet.
    eventually("the stream", async || ensure(&context, &stream()).await.ok()).await;
    context
}

fn stream() -> StreamArgs {
    StreamArgs { name: DEFAULT_NAME.parse().unwrap(), replicas: 1 }
}

async fn last(context: &Context) -> Position {
    ensure(context, &stream()).await.unwrap()
}

async fn conforms(flavor: NatsFlavor, seed: u64) {
    let mut pair = Pair::new(flavor, seed).await;
    for step in 0..STEPS {
        pair.step = step;
        pair.step().await;
    }
    println!("{flavor:?}: {:#?}", pair.did);
    let each = [
        "stored",
        "Duplicate",
        "Refused",
        "foreign",
        "looked",
        "a window passed",
        "read ours",
        "read a foreign one",
        "read nothing",
        "store lost",
        "tail lost",
        "restarted",
    ];
    for what in each {
        assert!(pair.did.contains_key(what), "never: {what}");
    }
}

#[tokio::test]
async fn the_model_is_nats_oldest() {
    conforms(NatsFlavor::Oldest, 1).await;
}

#[tokio::test]
async fn the_model_is_nats_current() {
    conforms(NatsFlavor::Current, 2).await;
}
