//! A ledger with a key, and a sealer by hand.

use std::time::Duration;

use futures::{StreamExt, stream};
use reqwest::Method;
use serde_json::json;
use sqlx::PgConnection;
use vtid_ledger::clock::Clock;
use vtid_ledger::domain::cursor::Cursor;
use vtid_ledger::domain::position::Position;
use vtid_ledger::leases::table::keep;
use vtid_ledger::leases::{ProcessId, Role};
use vtid_ledger::sealer::table::{self, Sealed};
use vtid_ledger::tlog::checkpoint::Checkpoint;
use vtid_ledger::tlog::key::{KeyKind, SecretKey};
use vtid_ledger::tlog::tree::Tree;
use vtid_ledger::tlog::{Hash, leaf};

use crate::support::service::{Answer, Platform, Service, platform, some_task};
use crate::support::tokens::{WITH_SECRET, token};

/// Creates under way at a time.
const CALLERS: usize = 32;

pub(super) struct Stage {
    pub(super) platform: Platform,
    pub(super) service: Service,
    pub(super) key: SecretKey,
    /// For what needs one.
    pub(super) token: String,
}

/// A process that has the sealer's lease, so that no other seals.
const BY_HAND: ProcessId = ProcessId(uuid::Uuid::from_u128(7));
/// A lease's length, and how often it is renewed.
const LEASE_MS: u64 = 3_000;
const RENEW: Duration = Duration::from_millis(500);

/// A ledger that asks for tokens, and whose log is sealed under this origin by the test alone.
pub(super) async fn stage(origin: &str) -> Stage {
    let platform = platform().await;
    let mut holder = platform.connection().await;
    keep(&mut holder, Role::Sealer, BY_HAND, LEASE_MS).await.unwrap();
    // Ends with the test, or its database.
    tokio::spawn(async move {
        while keep(&mut holder, Role::Sealer, BY_HAND, LEASE_MS).await.is_ok() {
            tokio::time::sleep(RENEW).await;
        }
    });
    let key = SecretKey::generate(origin.parse().unwrap(), KeyKind::Log).unwrap();
    let printed = key.print();
    let service = platform.serve_with(&[&WITH_SECRET[..], &["--audit-key", &printed]].concat()).await;
    Stage { platform, service, key, token: token(&json!({"role": "service_role", "sub": "auditor"})) }
}

/// What came back, its body as it was sent.
pub(super) struct Raw {
    pub(super) status: u16,
    pub(super) headers: reqwest::header::HeaderMap,
    pub(super) bytes: Vec<u8>,
}

impl Raw {
    pub(super) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }
}

pub(super) async fn raw(request: reqwest::RequestBuilder) -> Raw {
    let response = request.send().await.unwrap();
    let (status, headers) = (response.status().as_u16(), response.headers().clone());
    Raw { status, headers, bytes: response.bytes().await.unwrap().to_vec() }
}

impl Stage {
    pub(super) fn vkey(&self) -> String {
        self.key.public().to_string()
    }

    /// Asks with the token.
    pub(super) async fn get(&self, path: &str) -> Answer {
        self.service.send(self.service.request(Method::GET, path).bearer_auth(&self.token)).await
    }

    /// Asks as anybody.
    pub(super) async fn get_plain(&self, path: &str) -> Answer {
        self.service.get(path).await
    }

    pub(super) async fn bytes(&self, path: &str) -> Raw {
        raw(self.service.request(Method::GET, path)).await
    }

    pub(super) async fn bytes_with_token(&self, path: &str) -> Raw {
        raw(self.service.request(Method::GET, path).bearer_auth(&self.token)).await
    }

    pub(super) async fn create(&self, description: &str) -> String {
        let request = self.service.with_body(Method::POST, "/vtid/create", some_task(description));
        let answer = self.service.send(request.bearer_auth(&self.token)).await.expect(200);
        answer.vtid().to_owned()
    }

    pub(super) async fn patch(&self, vtid: &str, body: &str) {
        let request = self.service.with_body(Method::PATCH, &format!("/vtid/{vtid}"), body);
        self.service.send(request.bearer_auth(&self.token)).await.expect(200);
    }

    /// Creates tasks until the log has so many events.
    pub(super) async fn grow(&self, size: usize) {
        let there = self.records().await.len();
        let creates = (there..size).map(|n| async move { self.create(&format!("number {n}")).await });
        let made: Vec<String> = stream::iter(creates).buffer_unordered(CALLERS).collect().await;
        assert_eq!(made.len(), size - there);
    }

    /// The log's records, as they are stored.
    pub(super) async fn records(&self) -> Vec<String> {
        records(&mut self.platform.connection().await).await
    }

    /// Seals the log as it is, as the sealer would; gives the checkpoint.
    pub(super) async fn seal(&self) -> Checkpoint {
        seal(&mut self.platform.connection().await, &self.key).await
    }
}

async fn records(connection: &mut PgConnection) -> Vec<String> {
    sqlx::query_scalar("select body from ledger.event order by position").fetch_all(connection).await.unwrap()
}

async fn seal(connection: &mut PgConnection, key: &SecretKey) -> Checkpoint {
    let origin = key.public().name();
    let mut tree = Tree::new();
    for record in records(connection).await {
        for tile in tree.push(leaf(&record)) {
            sqlx::query(
                "insert into ledger.tile (origin, level, number, root, hashes) values ($1, $2, $3, $4, $5)
                 on conflict do nothing",
            )
            .bind(origin.as_str())
            .bind(i16::from(tile.level))
            .bind(i64::try_from(tile.number).unwrap())
            .bind(tile.root.0.as_slice())
            .bind(&tile.hashes)
            .execute(&mut *connection)
            .await
            .unwrap();
        }
    }
    let size = Position::new(tree.size());
    let id = sqlx::query_scalar("select event_id from ledger.event where position = $1")
        .bind(size.to_i64())
        .fetch_one(&mut *connection)
        .await
        .unwrap();
    let previous = table::newest(connection, origin).await.unwrap().map(|stored| stored.size);
    let checkpoint = Checkpoint::sign(origin, size.get(), tree.root(), std::slice::from_ref(key)).unwrap();
    let last = Cursor::At { position: size, id };
    let now = Clock::system().now();
    let sealed = table::seal(connection, previous.unwrap_or_default(), &checkpoint, last, now).await.unwrap();
    assert_eq!(sealed, Sealed::Done);
    checkpoint
}

/// RFC 6962, 2.1, word for word, over leaves' hashes.
pub(super) fn root_of(leaves: &[Hash]) -> Hash {
    use sha2::{Digest, Sha256};
    match leaves {
        [] => Hash(Sha256::digest([]).into()),
        [leaf] => *leaf,
        leaves => {
            let k = leaves.len().next_power_of_two() / 2;
            let (left, right) = (root_of(&leaves[..k]), root_of(&leaves[k..]));
            Hash(Sha256::new().chain_update([1]).chain_update(left.0).chain_update(right.0).finalize().into())
        }
    }
}
