//! Doing what the machine says.

use std::collections::VecDeque;
use std::time::Duration;

use super::feed::{Feed, Ready};
use super::jobs::Lost;
use super::machine::{Generation, Output};
use super::shell::Shell;
use crate::domain::position::Position;

/// The client's queue to the connection is full for so long only if the connection is stuck.
const SEND_PATIENCE: Duration = Duration::from_secs(2);

impl Shell {
    /// Does what the machine says; an attempt whose messages can't even be sent has failed.
    pub(super) async fn perform(&mut self, output: Output) -> Result<(), Generation> {
        match output {
            Output::Open { generation } => {
                self.requests.abort_all();
                self.requests.spawn(self.jobs.clone().open(generation));
            }
            Output::AskLog { generation, position, id } => {
                self.requests.spawn(self.jobs.clone().ask_log(generation, position, id));
            }
            Output::SetHold { position, id, seen } if self.holds.is_empty() => {
                // What this process handed over may be what was lost: it must not be published again.
                self.jobs.log.forget_tail();
                let lost = Lost { position, id, seen, losses: self.losses };
                self.holds.spawn(self.jobs.clone().set_hold(lost));
            }
            // The machine says it again as long as it finds the same.
            Output::SetHold { .. } => {}
            Output::Follow { follow, after } => {
                self.ready.clear();
                self.feed = Some(Feed::start(self.jobs.log.clone(), follow, after));
            }
            Output::Unfollow => {
                self.ready.clear();
                self.feed = None;
            }
            Output::Read { generation, position } => {
                let sent = tokio::time::timeout(SEND_PATIENCE, self.wire.read(generation, position)).await;
                return self.sent(generation, sent);
            }
            Output::Publish { generation, position } => {
                let Some(ready) = ready_at(&self.ready, position) else {
                    tracing::error!(%position, "an event to publish is not at hand");
                    return Err(generation);
                };
                self.spans.begin(generation, ready);
                let sent = tokio::time::timeout(SEND_PATIENCE, self.wire.publish(generation, ready)).await;
                return self.sent(generation, sent);
            }
        }
        Ok(())
    }

    fn sent(
        &mut self,
        generation: Generation,
        sent: Result<Result<(), async_nats::PublishError>, tokio::time::error::Elapsed>,
    ) -> Result<(), Generation> {
        let trouble = match sent {
            Ok(Ok(())) => return Ok(()),
            Ok(Err(error)) => format!("the NATS client refuses: {error}"),
            Err(_) => "the connection to NATS is stuck".to_owned(),
        };
        self.note(Some(trouble));
        Err(generation)
    }
}

fn ready_at(ready: &VecDeque<Ready>, position: Position) -> Option<&Ready> {
    let first = ready.front()?.entry.position();
    let index = usize::try_from(position.get().checked_sub(first.get())?).ok()?;
    ready.get(index).filter(|ready| ready.entry.position() == position)
}
