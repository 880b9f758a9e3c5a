//! What follows from a finding: writes stop, unless they are to go on, and everybody is told.

use std::time::Duration;

use tokio::time::timeout;

use super::Parts;
use super::message::AuditMessage;
use super::settings::OnTamper;
use super::status::Finding;
use super::stream::AuditStreamError;
use crate::leases::Role;
use crate::leases::table::look;
use crate::log::connect::connect;
use crate::log::hold::{Hold, read_past_hold};
use crate::log::turn::Turn;

/// Longer than it takes to have the append lock.
const HOLD_TIMEOUT: Duration = Duration::from_secs(10);

/// Of a process that sleeps while it has the lock, the session ends before its lease does.
const SESSION: [(&str, &str); 1] = [("idle_in_transaction_session_timeout", "1000")];

/// Why not everybody knows yet.
#[derive(Debug, thiserror::Error)]
pub(super) enum ReportError {
    #[error("the hold: {0}")]
    Hold(#[from] sqlx::Error),
    #[error(transparent)]
    Stream(#[from] AuditStreamError),
    #[error("another process seals by now")]
    Followed,
}

/// Tells of findings.
pub(super) struct Reporter<'a> {
    parts: &'a Parts,
    /// What was published already.
    said: Option<Finding>,
}

impl<'a> Reporter<'a> {
    pub(super) fn new(parts: &'a Parts) -> Self {
        Self { parts, said: None }
    }

    /// Sets the hold, if writes are to stop, and publishes the finding, if it is not in the stream.
    pub(super) async fn report(&mut self, finding: &Finding) -> Result<(), ReportError> {
        self.settle(Some(finding)).await?;
        if self.said.as_ref().is_some_and(|said| said.what == finding.what) {
            return Ok(());
        }
        let Parts { stream, keys, log, clock, .. } = self.parts;
        let mut opened = stream.open().await?;
        if opened.finding(keys.origin()).await?.is_none_or(|said| said.what != finding.what) {
            let message = AuditMessage::finding(log.ledger(), keys.origin(), finding, clock.now());
            opened.publish(message).await?;
        }
        self.said = Some(finding.clone());
        Ok(())
    }

    /// Sets the hold of the sealers' own making, or lifts it, where it does not stand as it should.
    pub(super) async fn settle(&mut self, finding: Option<&Finding>) -> Result<(), ReportError> {
        if finding.is_none() {
            self.said = None;
        }
        let stops = self.parts.on_tamper == OnTamper::Stop;
        let hold = finding.filter(|_| stops).map(Finding::hold);
        let settled = timeout(HOLD_TIMEOUT, hold_as(self.parts, hold)).await;
        settled.unwrap_or_else(|_| Err(sqlx::Error::PoolTimedOut.into()))
    }
}

async fn hold_as(parts: &Parts, hold: Option<Hold>) -> Result<(), ReportError> {
    let standing = read_past_hold(&mut *parts.log.pool().acquire().await?).await?;
    if standing == hold {
        return Ok(());
    }
    let mut turn = Turn::open(connect(&parts.database.options(SESSION)).await?).await?;
    // Under the lock, or one that slept since its look at the past would undo what the next one has done since.
    let lease = look(turn.connection(), Role::Sealer).await?;
    if !parts.lease.is_still(lease.as_ref()) {
        turn.end().await?;
        return Err(ReportError::Followed);
    }
    turn.set_past_hold(hold.as_ref()).await?;
    turn.commit().await?;
    if let Some(hold) = &hold {
        tracing::error!(reason = hold.reason, "a hold stops all writes");
    } else {
        tracing::info!("the past is the one that was sealed: the sealer's hold is lifted");
    }
    Ok(())
}
