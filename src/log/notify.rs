//! NOTIFY: this process's appends wake the followers of other replicas.
//!
//! Not by the append itself: there it would cost every group a signal to each listener, this process's own among them.

use std::time::{Duration, Instant};

use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::EventLog;
use super::servers::{Kept, Servers};
use crate::domain::position::Position;

/// Whoever told last tells again so much later at the earliest.
const PAUSE: Duration = Duration::from_millis(20);
/// The others only where that one has not told meanwhile, also of theirs: each notification wakes all processes.
const OTHERS_PAUSE: Duration = Duration::from_millis(30);
/// The pause before a broken connection is made again; meanwhile the followers of others poll.
const RETRY: Duration = Duration::from_secs(1);

/// Notifies until cancelled. A notification that is lost costs a follower elsewhere its slow poll, nothing else.
pub async fn notify(log: EventLog, database: Servers, stop: CancellationToken) {
    // Whoever notifies commits a transaction; there is nothing in it that could be lost.
    let database = database.options([("synchronous_commit", "off")]);
    let mut written = log.written();
    while !stop.is_cancelled() {
        let ended = tokio::select! {
            () = stop.cancelled() => return,
            ended = notify_once(&log, &mut written, &database) => ended,
        };
        if let Err(error) = ended {
            tracing::warn!(%error, "NOTIFY was interrupted; the followers of other replicas poll until it is back");
        }
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(RETRY) => {}
        }
    }
}

/// A notification.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Told {
    /// Up to where there are events.
    pub(super) position: Position,
    /// When this process sent it, or heard of it.
    pub(super) at: Instant,
}

/// What was written and is to be told of.
#[derive(Debug, Clone, Copy)]
struct News {
    position: Position,
    /// When this was known here.
    since: Instant,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Next {
    /// All know.
    Nothing,
    /// See again then.
    Wait(Instant),
    Tell,
}

/// `ours`: what this process told itself at last.
fn next(now: Instant, news: News, told: Option<Told>, ours: Option<Position>) -> Next {
    let Some(told) = told else { return Next::Tell };
    // An older one tells of nothing newer, whatever it claims: anybody may notify.
    if told.position >= news.position && told.at >= news.since {
        return Next::Nothing;
    }
    let pause = if Some(told.position) == ours { PAUSE } else { OTHERS_PAUSE };
    let due = told.at + pause;
    if now < due { Next::Wait(due) } else { Next::Tell }
}

async fn notify_once(
    log: &EventLog,
    written: &mut watch::Receiver<Position>,
    database: &Servers,
) -> Result<(), sqlx::Error> {
    let (mut kept, told, mut ours) = (Kept::default(), log.told(), None);
    // Ends with the log, that is, with the process.
    while written.changed().await.is_ok() {
        let mut news = News { position: *written.borrow_and_update(), since: Instant::now() };
        loop {
            let last = *told.borrow();
            match next(Instant::now(), news, last, ours) {
                Next::Nothing => break,
                Next::Wait(due) => tokio::time::sleep_until(due.into()).await,
                Next::Tell => {
                    // All that came meanwhile.
                    news.position = *written.borrow_and_update();
                    let mut connection = kept.take(database).await?;
                    sqlx::query("select pg_notify('ledger_event', $1)")
                        .bind(news.position.to_string())
                        .execute(&mut connection)
                        .await?;
                    kept.give_back(connection);
                    ours = Some(news.position);
                    log.told_of(news.position);
                }
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whoever_told_last_goes_on_and_tells_for_the_others() {
        let begin = Instant::now();
        let at = |ms| begin + Duration::from_millis(ms);
        let news = |position, ms| News { position: Position::new(position), since: at(ms) };
        let told = |position, ms| Some(Told { position: Position::new(position), at: at(ms) });
        let ours = Some(Position::new(5));
        assert_eq!(next(at(0), news(1, 0), None, None), Next::Tell);
        // After what this process told itself, after what another one told, and long after either.
        assert_eq!(next(at(3), news(7, 2), told(5, 1), ours), Next::Wait(at(21)));
        assert_eq!(next(at(21), news(7, 2), told(5, 1), ours), Next::Tell);
        assert_eq!(next(at(21), news(7, 2), told(6, 1), ours), Next::Wait(at(31)));
        assert_eq!(next(at(31), news(7, 2), told(6, 1), ours), Next::Tell);
        assert_eq!(next(at(90), news(7, 90), told(6, 1), ours), Next::Tell);
        // Another one told of it meanwhile.
        assert_eq!(next(at(4), news(7, 2), told(8, 3), ours), Next::Nothing);
        // It can't have: nobody had written it then.
        assert_eq!(next(at(40), news(7, 2), told(1_000_000, 1), ours), Next::Tell);
    }
}
