//! NATS has less room for its streams than the ledger's takes.

use super::callers::Scene;
use super::stage::Stage;
use crate::support::eventually;

/// The stream takes up more than that already.
const ROOM_BYTES: u64 = 1 << 16;

/// Starts NATS again with the limit, and waits until it refuses the ledger's messages.
pub(crate) async fn lower(stage: &mut Stage, scene: &Scene) {
    // So much at least.
    scene.further(150).await;
    stage.nats.limit_store(Some(ROOM_BYTES)).await;
    scene.further(20).await;
    eventually("the stream takes no more", async || {
        for service in stage.services() {
            let degraded = service.get("/readyz").await.body["degraded"].to_string();
            if degraded.contains("insufficient resources") {
                return Some(());
            }
        }
        None
    })
    .await;
}
