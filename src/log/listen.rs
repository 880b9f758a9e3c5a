//! LISTEN: the appends of other replicas wake this process's followers, and it hears of leases given back.

use std::time::Duration;

use sqlx::postgres::{PgListener, PgPoolOptions};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::servers::Servers;
use super::{EventLog, session};
use crate::domain::position::Position;

/// Where a lease that was given back is told of.
const LEASES: &str = "ledger_lease";
/// The pause before a broken connection is made again; meanwhile followers poll.
const RETRY: Duration = Duration::from_secs(1);

/// Listens until cancelled. A lost notification costs a follower's slow poll, or the rest of a lease, nothing else.
/// `freed` is changed when somebody gives a lease back.
pub async fn listen(log: EventLog, database: Servers, freed: watch::Sender<u64>, stop: CancellationToken) {
    while !stop.is_cancelled() {
        let ended = tokio::select! {
            () = stop.cancelled() => return,
            ended = listen_once(&log, &database, &freed) => ended,
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

/// Until the connection breaks, or another server is the primary: an old one would take LISTEN too, and never tell anything.
async fn listen_once(
    log: &EventLog,
    database: &Servers,
    freed: &watch::Sender<u64>,
) -> Result<(), sqlx::Error> {
    let mut moved = database.moved();
    let server = database.one().await?;
    moved.mark_unchanged();
    // The driver's listener takes its connection from a pool. A standby refuses LISTEN.
    let settings = session::settings(&server);
    let pool = PgPoolOptions::new()
        .after_connect(move |connection, _| {
            let settings = settings.clone();
            Box::pin(async move { session::tell(connection, &settings).await })
        })
        .max_connections(1)
        .max_lifetime(None)
        .idle_timeout(None)
        .connect_lazy_with(server);
    let mut listener = PgListener::connect_with(&pool).await?;
    listener.eager_reconnect(false);
    listener.listen_all(["ledger_event", LEASES]).await?;
    loop {
        let notification = tokio::select! {
            // The sender lives in `database`.
            _ = moved.changed() => return Ok(()),
            notification = listener.try_recv() => notification?,
        };
        let Some(notification) = notification else {
            return Err(sqlx::Error::Io(std::io::ErrorKind::ConnectionAborted.into()));
        };
        if notification.channel() == LEASES {
            freed.send_modify(|times| *times += 1);
        } else if let Ok(position) = notification.payload().parse() {
            log.told_of(Position::new(position));
        }
    }
}
