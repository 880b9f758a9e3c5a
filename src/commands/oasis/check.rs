//! `vtid-ledger oasis check`.

use std::io::Write;

use super::OasisFailure;
use crate::domain::position::Position;
use crate::oasis::comparison::{Tally, Verdict};
use crate::oasis::recover::Site;
use crate::oasis::scan::{Scan, head};
use crate::oasis::stored::StoredStream;
use crate::oasis::stream::{self, StreamError};
use crate::progress::Progress;

/// Compares the whole stream with the log, and prints each difference.
pub(super) async fn run(site: &Site, out: &mut impl Write) -> Result<(), OasisFailure> {
    let stream = StoredStream::open(site.client.clone(), &site.stream.name).await?;
    let mut tally = Tally::default();
    let mut progress = Progress::new("messages");
    let mut scan = Scan::begin(&stream, site.pool.clone(), site.ledger, Position::ZERO).await?;
    loop {
        let batch = scan.next().await?;
        if batch.is_empty() {
            break;
        }
        for compared in &batch {
            tally.add(compared);
            if compared.verdict != Verdict::Same {
                progress.println(|| writeln!(out, "{compared}"))?;
            }
        }
        progress.tell(tally.compared, stream.last().get(), &format!("{} different", tally.different));
    }
    drop(progress);
    let head = head(&site.pool).await?.position();
    let unpublished = head.get().saturating_sub(stream.last().get());
    writeln!(
        out,
        "{}: {} messages, {} of them different from the ledger's events",
        site.stream.name, tally.compared, tally.different
    )?;
    if unpublished > 0 {
        writeln!(
            out,
            "the ledger's last {unpublished} events, up to position {head}, are not published yet"
        )?;
    }
    match stream::info(&stream::patient_context(site.client.clone()), &site.stream).await {
        Err(error @ StreamError::Differs { .. }) => {
            writeln!(out, "{error}")?;
            Err(OasisFailure::Different(tally.different))
        }
        Err(error) => Err(crate::oasis::stored::StoredError::from(error).into()),
        Ok(_) if tally.different > 0 => Err(OasisFailure::Different(tally.different)),
        Ok(_) => Ok(()),
    }
}
