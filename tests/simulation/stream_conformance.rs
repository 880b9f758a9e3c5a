//! The model of the stream against a real JetStream.

use async_nats::jetstream;
use vtid_ledger::oasis::connect::{Nats, NatsArgs};
use vtid_ledger::oasis::stream::{DEFAULT_NAME, StreamArgs, context, ensure};

use crate::support::{NatsFlavor, nats};

#[tokio::test]
async fn a_store_is_put_back_and_wiped() {
    for flavor in [NatsFlavor::Oldest, NatsFlavor::Current] {
        let mut nats = nats(flavor).await;
        let stream = StreamArgs { name: DEFAULT_NAME.parse().unwrap(), replicas: 1 };
        let last = async |url: String| {
            let client = Nats::connect(&NatsArgs::plain(&url), "test").await.unwrap().client;
            ensure(&context(client), &stream).await.unwrap().get()
        };
        let publish = async |url: String| {
            let context = jetstream::new(async_nats::connect(url).await.unwrap());
            context.publish("oasis.a.vtid-ledger.b", "".into()).await.unwrap().await.unwrap();
        };
        assert_eq!(last(nats.url()).await, 0);
        publish(nats.url()).await;
        publish(nats.url()).await;
        let copy = nats.snapshot_store().await;
        publish(nats.url()).await;
        assert_eq!(last(nats.url()).await, 3);
        nats.restore_store(&copy).await;
        assert_eq!(last(nats.url()).await, 2);
        nats.wipe_store().await;
        assert_eq!(last(nats.url()).await, 0);
    }
}
