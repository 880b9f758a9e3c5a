//! NATS has less room for its streams than the ledger's takes.

use super::callers::Scene;
use super::stage::Stage;
use crate::support::eventually;

/// Replaces what the settings say before; the stream has more than that already.
fn limited(stage: &Stage) -> String {
    let store = stage.nats.store();
    format!("jetstream {{\n  store_dir: {:?}\n  max_file_store: 65536\n}}\n", store.to_str().unwrap())
}

/// Starts NATS again with the limit, and waits until it refuses the ledger's messages.
pub(crate) async fn lower(stage: &mut Stage, scene: &Scene) {
    let config = limited(stage);
    stage.nats.configure(&config);
    stage.nats.stop().await;
    stage.nats.start().await;
    scene.further(20).await;
    let service = stage.service();
    eventually("the stream takes no more", async || {
        let ready = service.get("/readyz").await;
        println!("    {}", ready.body["degraded"]);
        (ready.body["degraded"] != serde_json::json!([])).then_some(())
    })
    .await;
}

/// Starts it again without.
pub(crate) async fn lift(stage: &mut Stage) {
    stage.nats.configure("");
    stage.nats.stop().await;
    stage.nats.start().await;
}
