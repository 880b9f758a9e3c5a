//! Asks each witness to sign the newest checkpoint too, beside the sealing: a slow one holds up nothing. One that does not sign
//! is told of, and asked again.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::time::Duration;

use futures::future::join_all;
use tokio::time::sleep;

use super::table::{self, Stored};
use super::witnesses::{Said, ask};
use super::{Parts, Shared};
use crate::domain::position::Position;
use crate::tlog::key::KeyName;

/// The pause after a witness did not sign.
const RETRY: Duration = Duration::from_secs(5);

/// Which witnesses do not sign, and why.
pub type Unsigned = BTreeMap<KeyName, String>;

/// Asks each of them, after each checkpoint, while this process is the one that seals.
pub(super) async fn ask_on(parts: &Parts, shared: &Shared) -> Infallible {
    join_all((0..parts.witnesses.len()).map(|place| keep_asking(parts, shared, place))).await;
    std::future::pending().await
}

async fn keep_asking(parts: &Parts, shared: &Shared, place: usize) -> Infallible {
    let (mut sealed, mut lease) = (shared.sealed.subscribe(), parts.lease.clone());
    let mut signed = Position::ZERO;
    loop {
        let wanted = *sealed.borrow_and_update();
        let trouble = if wanted > signed && lease.is_held() {
            match sign(parts, shared, place, signed).await {
                Ok(size) => {
                    // What was taken away since is for the look at the past to find.
                    signed = size.max(wanted);
                    None
                }
                Err(why) => Some(why),
            }
        } else {
            None
        };
        let failed = trouble.is_some();
        tell(parts, shared, place, trouble);
        tokio::select! {
            () = sleep(RETRY), if failed => {}
            Ok(()) = sealed.changed(), if !failed => {}
            () = lease.changed(), if !failed => {}
        }
    }
}

/// Gets a signature for the newest checkpoint, and tells its size; or why there is none.
async fn sign(parts: &Parts, shared: &Shared, place: usize, signed: Position) -> Result<Position, String> {
    let newest = newest(parts).await.map_err(|error| error.to_string())?;
    let Some(newest) = newest else { return Ok(Position::ZERO) };
    // Where nothing is known of it, it was most likely asked when the past was looked at.
    let old = if signed == Position::ZERO { newest.size } else { signed };
    match shared.heard.take(place, ask(parts, place, &newest, old).await) {
        Said::Signed => Ok(newest.size),
        Said::Ahead(size) => {
            shared.doubt();
            Err(format!("it has signed a tree of {size} events"))
        }
        Said::Misfit(what) => {
            shared.doubt();
            Err(format!("it {what}"))
        }
        Said::Nothing(why) => Err(why),
    }
}

async fn newest(parts: &Parts) -> Result<Option<Stored>, sqlx::Error> {
    table::newest(&mut *parts.log.pool().acquire().await?, parts.keys.origin()).await
}

fn tell(parts: &Parts, shared: &Shared, place: usize, trouble: Option<String>) {
    let name = parts.witnesses[place].key().name();
    parts.metrics.unsigned(name.as_str(), trouble.is_some());
    shared.unsigned.send_if_modified(|known| match trouble {
        None => known.remove(name).is_some(),
        Some(why) => {
            if !known.contains_key(name) {
                tracing::warn!(witness = %name, why, "a witness does not sign; it is asked again");
            }
            let changed = known.get(name) != Some(&why);
            known.insert(name.clone(), why);
            changed
        }
    });
}
