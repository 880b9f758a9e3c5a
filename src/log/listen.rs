//! LISTEN: the appends of other replicas wake this process's followers.

use std::time::Duration;

use sqlx::PgPool;
use sqlx::postgres::PgListener;
use tokio_util::sync::CancellationToken;

use super::EventLog;
use crate::domain::position::Position;

/// The pause before a broken connection is made again; meanwhile followers poll.
const RETRY: Duration = Duration::from_secs(1);

/// Listens until cancelled. A lost notification costs a follower's slow poll, nothing else.
pub async fn listen(log: EventLog, pool: PgPool, stop: CancellationToken) {
    while !stop.is_cancelled() {
        let ended = tokio::select! {
            () = stop.cancelled() => return,
            ended = listen_once(&log, &pool) => ended,
        };
        if let Err(error) = ended {
            tracing::warn!(%error, "LISTEN was interrupted; followers poll until it is back");
        }
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(RETRY) => {}
        }
    }
}

async fn listen_once(log: &EventLog, pool: &PgPool) -> Result<(), sqlx::Error> {
    let mut listener = PgListener::connect_with(pool).await?;
    listener.listen("ledger_event").await?;
    loop {
        let notification = listener.recv().await?;
        if let Ok(position) = notification.payload().parse() {
            log.hear_of(Position::new(position));
        }
    }
}
