//! NOTIFY: this process's appends wake the followers of other replicas.
//!
//! Not by the append itself: there it would cost every group a signal to each listener, this process's own among them.

use std::time::Duration;

use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::EventLog;
use super::servers::{Kept, Servers};
use crate::domain::position::Position;

/// Between two notifications: so much later, at most, others hear of an append.
const PAUSE: Duration = Duration::from_millis(20);
/// The pause before a broken connection is made again; meanwhile the followers of others poll.
const RETRY: Duration = Duration::from_secs(1);

/// Notifies until cancelled. A notification that is lost costs a follower elsewhere its slow poll, nothing else.
pub async fn notify(log: EventLog, database: Servers, stop: CancellationToken) {
    // Whoever notifies commits a transaction; there is nothing in it that could be lost.
    let database = database.options([("synchronous_commit", "off")]);
    let mut written = log.written();
    while !stop.is_cancelled() {
        let ended = tokio::select! {
            () = stop.cancelled() => return,
            ended = notify_once(&mut written, &database) => ended,
        };
        if let Err(error) = ended {
            tracing::warn!(%error, "NOTIFY was interrupted; the followers of other replicas poll until it is back");
        }
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(RETRY) => {}
        }
    }
}

async fn notify_once(written: &mut watch::Receiver<Position>, database: &Servers) -> Result<(), sqlx::Error> {
    let mut kept = Kept::default();
    // Ends with the log, that is, with the process.
    while written.changed().await.is_ok() {
        let position = *written.borrow_and_update();
        let mut connection = kept.take(database).await?;
        sqlx::query("select pg_notify('ledger_event', $1)")
            .bind(position.to_string())
            .execute(&mut connection)
            .await?;
        kept.give_back(connection);
        tokio::time::sleep(PAUSE).await;
    }
    Ok(())
}
