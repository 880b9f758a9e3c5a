//! The sample permissions for NATS: everybody can do what he is there for, and nobody but the ledger writes.

use std::time::Duration;

use async_nats::jetstream::consumer::{DeliverPolicy, pull};
use async_nats::jetstream::{self, Context};
use async_nats::{Client, ConnectOptions};
use futures::StreamExt as _;

use crate::support::service::{Platform, migrated_database, some_task};
use crate::support::subscriber::Subscriber;
use crate::support::{NatsFlavor, folder, nats_with};

const STREAM: &str = "OASIS_VTID_LEDGER";
const AUDIT_STREAM: &str = "OASIS_VTID_LEDGER_AUDIT";
const USERS: [&str; 3] = ["ledger", "operator", "subscriber"];

async fn platform_with_permissions(flavor: NatsFlavor) -> Platform {
    let sample = super::file("deploy/nats/permissions.conf");
    let config = USERS.iter().fold(sample, |config, user| {
        let variable = format!("$NATS_{}_PASSWORD", user.to_uppercase());
        assert!(config.contains(&variable), "{variable}");
        config.replace(&variable, user)
    });
    Platform { database: migrated_database().await, nats: nats_with(flavor, &config).await }
}

fn url(platform: &Platform, user: &str) -> String {
    platform.nats.url().replace("nats://", &format!("nats://{user}:{user}@"))
}

async fn client(platform: &Platform, user: &str) -> Client {
    let login = ConnectOptions::with_user_and_password(user.to_owned(), user.to_owned());
    login.connect(platform.nats.url()).await.unwrap()
}

/// The sequences that a consumer delivers, as many as are asked for.
async fn sequences<S, E>(messages: S, count: usize) -> Vec<u64>
where
    S: futures::Stream<Item = Result<jetstream::Message, E>>,
    E: std::fmt::Debug,
{
    let taken = messages.take(count).map(|message| message.unwrap().info().unwrap().stream_sequence);
    let limit = Duration::from_secs(30);
    tokio::time::timeout(limit, taken.collect()).await.expect("the consumer delivers")
}

/// A durable and an ordered consumer, of the client's own library.
async fn consumes(jetstream: &Context, count: usize) {
    let stream = jetstream.get_stream(STREAM).await.unwrap();
    let durable = pull::Config {
        durable_name: Some("worker".to_owned()),
        deliver_policy: DeliverPolicy::All,
        ..pull::Config::default()
    };
    let durable = stream.get_or_create_consumer("worker", durable).await.unwrap();
    let expected: Vec<u64> = (1..=count as u64).collect();
    let mut messages = durable.messages().await.unwrap().take(count);
    let mut seen = Vec::new();
    while let Some(message) = messages.next().await {
        let message = message.unwrap();
        message.double_ack().await.unwrap();
        seen.push(message.info().unwrap().stream_sequence);
    }
    assert_eq!(seen, expected);
    let ordered = stream.create_consumer(pull::OrderedConfig::default()).await.unwrap();
    assert_eq!(sequences(ordered.messages().await.unwrap(), count).await, expected);
}

/// Whoever subscribes has a copy of what was sealed, and can't add to it.
async fn holds_a_checkpoint(jetstream: &Context) {
    let stream = jetstream.get_stream(AUDIT_STREAM).await.unwrap();
    let ordered = stream.create_consumer(pull::OrderedConfig::default()).await.unwrap();
    assert_eq!(sequences(ordered.messages().await.unwrap(), 1).await, [1]);
    let message = stream.get_raw_message(1).await.unwrap();
    assert_eq!(message.subject.as_str(), "oasis.system.vtid-ledger-audit.checkpoint");
    let foreign = jetstream.publish("oasis.system.vtid-ledger-audit.checkpoint", "foreign".into()).await;
    assert!(foreign.unwrap().await.is_err(), "it publishes");
    assert!(stream.purge().await.is_err(), "it purges the stream");
}

/// JetStream as a user has it, who is refused by silence.
async fn jetstream_as(platform: &Platform, user: &str) -> Context {
    let mut jetstream = jetstream::new(client(platform, user).await);
    jetstream.set_timeout(Duration::from_secs(2));
    jetstream
}

/// Whoever only reads can't write, nor change or take away what is there.
async fn changes_nothing(platform: &Platform, jetstream: &Context) {
    let client = client(platform, "subscriber").await;
    client.publish("oasis.acme.vtid-ledger.vtid-created", "foreign".into()).await.unwrap();
    client.flush().await.unwrap();
    let config = stream_config(platform).await;
    let mut other = config.clone();
    other.max_messages = 1;
    assert!(jetstream.update_stream(other).await.is_err(), "it alters the stream");
    assert!(jetstream.delete_stream(STREAM).await.is_err(), "it deletes the stream");
    let stream = jetstream.get_stream(STREAM).await.unwrap();
    assert!(stream.purge().await.is_err(), "it purges the stream");
    assert!(stream.delete_message(1).await.is_err(), "it deletes a message");
    let other = jetstream::stream::Config {
        name: "OTHER".to_owned(),
        subjects: vec!["other.>".to_owned()],
        ..jetstream::stream::Config::default()
    };
    assert!(jetstream.create_stream(other).await.is_err(), "it makes a stream of its own");
    // Silence alone would not show that nothing was done.
    assert_eq!(stream_config(platform).await, config);
    assert_eq!(platform_stream(platform).await.info().await.unwrap().state.messages, 5);
}

/// The stream, as the ledger sees it.
async fn platform_stream(platform: &Platform) -> jetstream::stream::Stream {
    jetstream_as(platform, "ledger").await.get_stream(STREAM).await.unwrap()
}

async fn stream_config(platform: &Platform) -> jetstream::stream::Config {
    platform_stream(platform).await.info().await.unwrap().config.clone()
}

async fn are_enough_and_not_too_much(flavor: NatsFlavor) {
    let platform = platform_with_permissions(flavor).await;
    let (folder, keys) = (folder(), ["keygen", "--origin", "tests", "--out"]);
    let file = folder.path().join("audit.key");
    let file = file.to_str().unwrap();
    platform.run(&[&keys[..], &[file]].concat()).await.succeeded();
    let nats = url(&platform, "ledger");
    let service = platform.serve_with(&["--nats-url", &nats, "--audit-key-file", file]).await;
    for n in 0..5 {
        service.create(some_task(&format!("task {n}"))).await.expect(200);
    }
    let mut subscriber = Subscriber::start(&url(&platform, "subscriber"));
    subscriber.has_handled(5).await;
    let jetstream = jetstream_as(&platform, "subscriber").await;
    consumes(&jetstream, 5).await;
    changes_nothing(&platform, &jetstream).await;
    holds_a_checkpoint(&jetstream).await;
    let tail = ["oasis", "tail", "--from", "1", "--count", "5", "--nats-url"];
    for user in ["subscriber", "operator"] {
        let told = platform.run(&[&tail[..], &[&url(&platform, user)]].concat()).await.succeeded();
        assert_eq!(told.lines().count(), 5, "{told}");
    }
    let operator = url(&platform, "operator");
    let check = ["oasis", "check", "--nats-url", &operator];
    platform.run(&check).await.succeeded();
    service.create(some_task("task 5")).await.expect(200);
    subscriber.has_handled(6).await;
    // Nor does the ledger itself take the stream away: that is the operator's.
    let ledger = jetstream_as(&platform, "ledger").await;
    assert!(ledger.delete_stream(STREAM).await.is_err());
    platform.run(&["oasis", "rebuild", "--nats-url", &operator]).await.succeeded();
    let checked = platform.run(&check).await.succeeded();
    assert!(checked.contains("6 messages, 0 of them different"), "{checked}");
    service.create(some_task("task 6")).await.expect(200);
    subscriber.has_handled(7).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn permissions_are_enough_and_not_too_much_on_the_oldest() {
    are_enough_and_not_too_much(NatsFlavor::Oldest).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn permissions_are_enough_and_not_too_much_on_the_current() {
    are_enough_and_not_too_much(NatsFlavor::Current).await;
}
