//! `vtid-ledger oasis recover`.

use std::io::Write;

use super::OasisFailure;
use crate::domain::position::Position;
use crate::log::hold::read_past_hold;
use crate::oasis::comparison::Verdict;
use crate::oasis::recover::{Site, Survey, recover, survey};
use crate::oasis::scan::agreed;
use crate::oasis::stored::StoredStream;
use crate::progress::Progress;

/// Prints where the stream differs from the log after `after`, and tells how they stand.
pub(super) async fn list(
    site: &Site,
    stream: &StoredStream,
    after: Position,
    out: &mut impl Write,
) -> Result<Survey, OasisFailure> {
    let mut progress = Progress::new("messages");
    let mut printed = Ok(());
    let (mut looked, mut different) = (0, 0);
    let surveyed = survey(site, stream, after, |compared, total| {
        looked += 1;
        if compared.verdict != Verdict::Same {
            different += 1;
            if printed.is_ok() {
                printed = progress.println(|| writeln!(out, "{compared}"));
            }
        }
        progress.tell(looked, total, &format!("{different} different"));
    })
    .await?;
    printed?;
    Ok(surveyed)
}

/// Lists what the stream has beyond the log; with `yes`, puts it back.
pub(super) async fn run(site: &Site, yes: bool, out: &mut impl Write) -> Result<(), OasisFailure> {
    let stream = StoredStream::open(site.client.clone(), &site.stream.name).await?;
    let agreed = agreed(&stream, &site.pool, site.ledger).await?;
    let survey = list(site, &stream, agreed, out).await?;
    if let Some(hold) = &survey.hold {
        writeln!(out, "writes are on hold: {}", hold.reason)?;
    }
    if let Some(hold) = read_past_hold(&mut *site.pool.acquire().await?).await? {
        writeln!(out, "writes are on hold: {}", hold.reason)?;
    }
    let head = survey.head.position();
    let Some((first, through)) = survey.recoverable()? else {
        writeln!(
            out,
            "the stream has no event beyond the ledger, which ends at position {head}: nothing to recover"
        )?;
        if survey.hold.is_some() {
            writeln!(
                out,
                "what is still missing is lost: vtid-ledger oasis rebuild --accept-loss lets writes go on"
            )?;
        }
        return Ok(());
    };
    if !yes {
        writeln!(
            out,
            "the ledger ends at position {head}; with --yes the events from {first} to {through} are put back"
        )?;
        return Ok(());
    }
    let mut progress = Progress::new("events put back");
    let total = through.get() - head.get();
    let stays =
        recover(site, &survey, through, |done| progress.tell(done.get() - head.get(), total, "")).await?;
    drop(progress);
    writeln!(out, "put back {total} events, from position {first} to {through}, byte for byte")?;
    match stays {
        Some(hold) => writeln!(out, "writes stay on hold: {}", hold.reason)?,
        None => writeln!(out, "{}", writes(site).await?)?,
    }
    Ok(())
}

/// Whether writes go on, once nothing is held because history was lost.
pub(super) async fn writes(site: &Site) -> Result<String, OasisFailure> {
    let sealers = read_past_hold(&mut *site.pool.acquire().await?).await?;
    Ok(match sealers {
        Some(hold) => {
            format!("writes stay on hold until the sealer finds the past as it was: {}", hold.reason)
        }
        None => "writes go on".to_owned(),
    })
}
