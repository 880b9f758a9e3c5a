//! All that one actor did.

use crate::domain::position::Position;
use crate::domain::record::Recorded;
use crate::domain::text::{ActorId, Tenant};
use crate::domain::time::Timestamp;
use crate::log::connect::connect;
use crate::log::pages::last;
use crate::log::read::ReadError;
use crate::log::records::{Most, RecordFilter, Stored, look};
use crate::log::search::{position_at, position_before};
use crate::log::servers::Servers;

use super::error::AuditError;

/// Of one look.
const PAGE: Most = Most { records: 512, bytes: 4 << 20 };

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
        Some(since) => position_before(&mut connection, since, head).await?,
        None => Position::ZERO,
    };
    let to = match question.until {
        Some(until) => position_at(&mut connection, until, head).await?,
        None => head,
    };
    let filter = RecordFilter {
        actor: Some(question.actor.clone()),
        tenant: question.tenant.clone(),
        ..RecordFilter::default()
    };
    let (mut after, mut told) = (from, 0);
    while after < to {
        let found = look(&mut connection, &filter, after, to, PAGE).await?;
        for Stored { position, body } in found.records {
            let recorded =
                Recorded::parse(body.into()).map_err(|error| ReadError::Record { position, error })?;
            tell(&recorded)?;
            told += 1;
        }
        after = found.to;
        progress(after.get() - from.get(), to.get() - from.get());
    }
    Ok(told)
}
