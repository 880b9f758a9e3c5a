//! All that one actor did.

use crate::domain::position::Position;
use crate::domain::record::Recorded;
use crate::domain::text::{ActorId, Tenant};
use crate::domain::time::Timestamp;
use crate::log::connect::connect;
use crate::log::pages::{by_actor, last, last_before};
use crate::log::read::ReadError;
use crate::log::servers::Servers;

use super::error::AuditError;

/// Whose events, and which of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Question {
    /// Who.
    pub actor: ActorId,
    /// At this time or later.
    pub since: Option<Timestamp>,
    /// At this time or earlier.
    pub until: Option<Timestamp>,
    /// In tasks of this tenant.
    pub tenant: Option<Tenant>,
}

/// Tells each event of an actor in order, up to the head as of now; and `progress` how many positions were looked at, of
/// how many. Gives how many events there were.
///
/// # Errors
/// Whatever stands against reading them or against `tell`.
pub async fn who(
    servers: &Servers,
    question: &Question,
    mut tell: impl FnMut(&Recorded) -> std::io::Result<()>,
    mut progress: impl FnMut(u64, u64),
) -> Result<u64, AuditError> {
    let mut connection = connect(servers).await?;
    let head = last(&mut connection).await?.position();
    let from = match question.since {
        Some(since) => last_before(&mut connection, since, false, head).await?,
        None => Position::ZERO,
    };
    let to = match question.until {
        Some(until) => last_before(&mut connection, until, true, head).await?,
        None => head,
    };
    let (mut after, mut told) = (from, 0);
    while after < to {
        let found = by_actor(&mut connection, &question.actor, question.tenant.as_ref(), after, to).await?;
        for (position, body) in found.records {
            let recorded = Recorded::parse(body).map_err(|error| ReadError::Record { position, error })?;
            tell(&recorded)?;
            told += 1;
        }
        after = found.looked_to;
        progress(after.get() - from.get(), to.get() - from.get());
    }
    Ok(told)
}
