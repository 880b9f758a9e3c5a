//! `vtid-ledger oasis rebuild`.

use std::io::Write;

use super::{OasisFailure, recover::list, recover::writes};
use crate::domain::position::Position;
use crate::log::hold::{Hold, read_loss_hold};
use crate::oasis::connect::{Nats, NatsArgs};
use crate::oasis::rebuild::{accept_loss, lift_hold, remake, republish};
use crate::oasis::recover::Site;
use crate::oasis::scan::{head, open_if_there};
use crate::progress::Progress;

/// Makes the stream anew from the log; with `accept`, gives up what the log lost.
pub(super) async fn run(
    site: &Site,
    nats: &NatsArgs,
    accept: bool,
    out: &mut impl Write,
) -> Result<(), OasisFailure> {
    let (found, first_different) = match open_if_there(&site.client, &site.stream.name).await? {
        Some(stream) => {
            // All of it: whoever has handled a wrong message must be told how far to go back.
            let survey = list(site, &stream, Position::ZERO, out).await?;
            (survey.tally.loss(), survey.tally.first_different)
        }
        None => (None, None),
    };
    let standing = read_loss_hold(&mut *site.pool.acquire().await?).await?;
    let loss = loss(found, standing.as_ref());
    if let (Some((first, last)), false) = (loss, accept) {
        let hold = standing.map_or(String::new(), |hold| format!(" ({})", hold.reason));
        return Err(OasisFailure::WouldLose(format!(
            "the ledger lost events, as far as is known from position {first} to {last}{hold}"
        )));
    }
    if let Some((first, last)) = loss {
        accept_loss(site, first, last).await?;
    }
    remake(site).await?;
    if let Some((first, last)) = loss {
        lift_hold(site).await?;
        let writes = writes(site).await?;
        writeln!(out, "given up: what the ledger lost from position {first} to {last}; {writes}")?;
    }
    let head = head(&site.pool).await?.position();
    // Told before the rest may fail: a second run finds no difference any more. Whoever has handled something that never
    // was, or no longer is, goes back to before it.
    let firsts = [first_different, loss.map(|(first, _)| first)].into_iter().flatten();
    let back_to = firsts.min().map_or(head, |first| Position::new(first.get() - 1).min(head));
    writeln!(
        out,
        "consumers are gone: subscribers make theirs anew after the position that they have handled;"
    )?;
    writeln!(
        out,
        "one that has left out a message after position {back_to}, or to whose position another event belongs, \
         goes back to position {back_to}"
    )?;
    let mut progress = Progress::new("events published");
    let publisher = Nats::connect(nats, "vtid-ledger oasis rebuild").await?;
    republish(site, publisher, head, |done| progress.tell(done.get().min(head.get()), head.get(), ""))
        .await?;
    drop(progress);
    writeln!(out, "{} was made anew, with the ledger's events up to position {head}", site.stream.name)?;
    Ok(())
}

/// What is lost, as far as is known: as the stream shows, or as the hold says.
fn loss(found: Option<(Position, Position)>, standing: Option<&Hold>) -> Option<(Position, Position)> {
    let held = standing.map(|hold| (hold.position, hold.last));
    match (found, held) {
        (Some(found), Some(held)) => Some((found.0.min(held.0), found.1.max(held.1))),
        (found, held) => found.or(held),
    }
}
