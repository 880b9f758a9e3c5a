//! `vtid-ledger oasis check`.

use std::io::Write;

use super::{OasisFailure, recover::list};
use crate::domain::position::Position;
use crate::oasis::recover::Site;
use crate::oasis::stored::{StoredError, StoredStream};
use crate::oasis::stream::{self, StreamError};

/// Compares the whole stream with the log, and prints each difference.
pub(super) async fn run(site: &Site, out: &mut impl Write) -> Result<(), OasisFailure> {
    let stream = StoredStream::open(site.client.clone(), &site.stream.name).await?;
    let survey = list(site, &stream, Position::ZERO, out).await?;
    let (tally, head) = (survey.tally, survey.head.position());
    writeln!(
        out,
        "{}: {} messages, {} of them different from the ledger's events",
        site.stream.name, tally.compared, tally.different
    )?;
    let unpublished = head.get().saturating_sub(survey.last.get());
    if unpublished > 0 {
        writeln!(
            out,
            "the ledger's last {unpublished} events, up to position {head}, are not published yet"
        )?;
    }
    let made = stream::info(&stream::patient_context(site.client.clone()), &site.stream).await;
    if let Err(error @ StreamError::Differs { .. }) = &made {
        writeln!(out, "{error}")?;
    }
    if tally.different > 0 {
        return Err(OasisFailure::Different(tally.different));
    }
    made.map_err(StoredError::from)?;
    Ok(())
}
