//! Readers who wait make the projector hurry.

use std::sync::Arc;

use tokio::sync::watch;
use tokio::time::Instant;

/// How many readers wait for the projector: cheap to clone.
#[derive(Debug, Clone)]
pub struct Demand(Arc<watch::Sender<usize>>);

/// A reader that waits, until this is dropped.
pub(super) struct Waiting<'a>(&'a Demand);

impl Default for Demand {
    fn default() -> Self {
        Self(Arc::new(watch::Sender::new(0)))
    }
}

impl Demand {
    /// Counts a reader that waits.
    pub(super) fn wait(&self) -> Waiting<'_> {
        self.0.send_modify(|waiting| *waiting += 1);
        Waiting(self)
    }

    /// Whether somebody waits.
    pub(super) fn is_there(&self) -> bool {
        *self.0.borrow() > 0
    }

    /// Returns when somebody waits, or at `deadline`.
    pub(super) async fn until(&self, deadline: Instant) {
        let mut waiting = self.0.subscribe();
        let somebody_waits = waiting.wait_for(|waiting| *waiting > 0);
        // A time-out is the usual end: nobody was in a hurry.
        let _ = tokio::time::timeout_at(deadline, somebody_waits).await;
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.0.send_modify(|waiting| *waiting -= 1);
    }
}
