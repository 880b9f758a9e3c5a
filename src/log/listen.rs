//! LISTEN: the appends of other replicas wake this process's followers, and it hears of leases given back.

use std::time::Duration;

use sqlx::PgPool;
use sqlx::postgres::PgListener;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::EventLog;
use crate::domain::position::Position;

/// Where a lease that was given back is told of.
const LEASES: &str = "ledger_lease";
/// The pause before a broken connection is made again; meanwhile followers poll.
const RETRY: Duration = Duration::from_secs(1);

/// Listens until cancelled. A lost notification costs a follower's slow poll, or the rest of a lease, nothing else.
/// `freed` is changed when somebody gives a lease back.
pub async fn listen(log: EventLog, pool: PgPool, freed: watch::Sender<u64>, stop: CancellationToken) {
    while !stop.is_cancelled() {
        let ended = tokio::select! {
            () = stop.cancelled() => return,
            ended = listen_once(&log, &pool, &freed) => ended,
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

async fn listen_once(log: &EventLog, pool: &PgPool, freed: &watch::Sender<u64>) -> Result<(), sqlx::Error> {
    let mut listener = PgListener::connect_with(pool).await?;
    listener.listen_all(["ledger_event", LEASES]).await?;
    loop {
        let notification = listener.recv().await?;
        if notification.channel() == LEASES {
            freed.send_modify(|times| *times += 1);
        } else if let Ok(position) = notification.payload().parse() {
            log.hear_of(Position::new(position));
        }
    }
}
