//! Making the stream anew, and publishing the log again from its first event on.

use std::time::Duration;

use async_nats::jetstream::{self, ErrorCode};
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;

use super::connect::Nats;
use super::recover::Site;
use super::relay::{self, RelayOptions, RelayStatus, State};
use super::stream::{self, StreamError};
use crate::domain::position::Position;
use crate::leases::Held;
use crate::log::EventLog;
use crate::log::connect::connect;
use crate::log::recovery::{give_up, let_writes_go_on};
use crate::log::turn::Turn;
use crate::telemetry::metrics::relay::RelayMetrics;
use crate::telemetry::traces::Traces;

/// How often it is looked how far the relay is.
const LOOK_EVERY: Duration = Duration::from_millis(50);
/// Without any progress for so long, it is given up.
const PATIENCE: Duration = Duration::from_mins(1);
/// Records kept in memory.
const TAIL_BYTES: usize = 1 << 20;

/// Why the stream was not made anew, or not filled.
#[derive(Debug, thiserror::Error)]
pub enum RebuildError {
    /// The database did not answer.
    #[error("the database: {0}")]
    Database(#[from] sqlx::Error),
    /// `JetStream` refuses.
    #[error(transparent)]
    Stream(#[from] StreamError),
    /// `JetStream` refuses to delete the stream.
    #[error("the stream can't be deleted: {0}")]
    Delete(#[from] jetstream::context::DeleteStreamError),
    /// Nothing was published for a minute.
    #[error("publishing does not go on at position {position}: {trouble}; run the command again")]
    Stuck {
        /// How far it came.
        position: Position,
        /// What the relay says.
        trouble: String,
    },
}

/// Deletes the stream, with its consumers, and makes it again, empty.
///
/// # Errors
/// [`RebuildError`].
pub async fn remake(site: &Site) -> Result<(), RebuildError> {
    let context = stream::patient_context(site.client.clone());
    match context.delete_stream(site.stream.name.to_string()).await {
        Ok(_) => {}
        Err(error) => match error.kind() {
            jetstream::context::DeleteStreamErrorKind::JetStream(told)
                if told.error_code() == ErrorCode::STREAM_NOT_FOUND => {}
            _ => return Err(error.into()),
        },
    }
    // Running relays may have made it meanwhile, and have begun to fill it. NATS 2.9 was seen to leave a question about a
    // stream without an answer that it had just deleted; either question may be asked again.
    let context = stream::context(site.client.clone());
    let deadline = Instant::now() + PATIENCE;
    loop {
        match stream::ensure_again(&context, &site.stream).await {
            Err(StreamError::Unreachable(_)) if Instant::now() < deadline => {}
            made => return Ok(made.map(drop)?),
        }
    }
}

/// Puts on record that what was lost, from `first` to `last`, is given up; nothing is written yet, so that an interrupted
/// command leaves it to be decided.
///
/// # Errors
/// Whatever the driver says.
pub async fn accept_loss(site: &Site, first: Position, last: Position) -> Result<(), sqlx::Error> {
    give_up(Turn::open(connect(&site.database).await?).await?, first, last).await?;
    Ok(())
}

/// Lets writes go on, once the stream no longer holds what was given up.
///
/// # Errors
/// Whatever the driver says.
pub async fn lift_hold(site: &Site) -> Result<(), sqlx::Error> {
    let_writes_go_on(Turn::open(connect(&site.database).await?).await?).await?;
    Ok(())
}

/// Publishes the log until the stream holds every event up to `head`; `told` learns how far it is.
///
/// # Errors
/// [`RebuildError::Stuck`].
pub async fn republish(
    site: &Site,
    nats: Nats,
    head: Position,
    mut told: impl FnMut(Position),
) -> Result<(), RebuildError> {
    let log = EventLog::new(site.pool.clone(), site.ledger, TAIL_BYTES);
    let stop = CancellationToken::new();
    let options = RelayOptions {
        stream: site.stream.clone(),
        limits: relay::machine::Limits::default(),
        lease: Held::always(),
        metrics: RelayMetrics::default(),
        traces: Traces::off(),
    };
    let relay = relay::spawn(log, nats, options, stop.clone());
    let status = relay.status();
    let (mut seen, mut since) = (Position::ZERO, Instant::now());
    let ended = loop {
        let RelayStatus { state, position, trouble, .. } = status.borrow().clone();
        told(position);
        if state == State::Following && position >= head {
            break Ok(());
        }
        if position > seen {
            (seen, since) = (position, Instant::now());
        }
        if since.elapsed() > PATIENCE {
            let trouble = trouble.unwrap_or_else(|| state.to_string());
            break Err(RebuildError::Stuck { position, trouble });
        }
        sleep(LOOK_EVERY).await;
    };
    stop.cancel();
    relay.stopped().await;
    ended
}
