//! Runs one lease's machine: asks `PostgreSQL` what it says, and tells it what came of it. Nothing is decided here.

use std::sync::Arc;
use std::time::Duration;

use futures::future::BoxFuture;
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;

use super::machine::{Attempt, Input, Limits, Machine, Millis, Output};
use super::table::{Standing, give_back, keep};
use super::{LeaseStatus, ProcessId, Role};
use crate::log::servers::{Kept, Servers};

/// So many failures in a row are told.
const TROUBLE_AFTER: u32 = 4;
/// Between two looks at what has nothing due.
const IDLE: Duration = Duration::from_mins(1);

/// What a lease's task is made of.
pub(super) struct Parts {
    pub(super) role: Role,
    pub(super) process: ProcessId,
    pub(super) database: Servers,
    pub(super) limits: Limits,
    pub(super) freed: watch::Receiver<u64>,
    pub(super) count: Arc<watch::Sender<usize>>,
    pub(super) status: watch::Sender<LeaseStatus>,
}

/// What came of a question.
enum Reply {
    Standing(Attempt, Standing),
    GivenBack(Attempt),
    Failed(Attempt, sqlx::Error),
}

/// A question under way, which has the connection meanwhile; one that failed is not given back.
type UnderWay = BoxFuture<'static, (Kept, Reply)>;

struct Shell {
    parts: Parts,
    machine: Machine,
    started: Instant,
    connection: Kept,
    under_way: Option<UnderWay>,
    standing: Option<Standing>,
    failures: u32,
    trouble: Option<String>,
    holds: bool,
}

/// Keeps the lease until stopped, and gives it back.
pub(super) async fn run<S>(
    parts: Parts,
    mut worker: watch::Receiver<S>,
    is_able: fn(&S) -> bool,
    stop: CancellationToken,
) {
    let (mut freed, mut others) = (parts.freed.clone(), parts.count.subscribe());
    let machine = Machine::new(parts.limits);
    let mut shell = Shell {
        parts,
        machine,
        started: Instant::now(),
        connection: Kept::default(),
        under_way: None,
        standing: None,
        failures: 0,
        trouble: None,
        holds: false,
    };
    shell.feed(Input::Tick);
    let mut stopped = false;
    while !shell.machine.has_ended() {
        let due = shell.machine.next_tick().map_or(Instant::now() + IDLE, |due| shell.at(due));
        let input = tokio::select! {
            (connection, reply) = reply(&mut shell.under_way) => shell.answered(connection, reply),
            () = sleep_until(due) => Input::Tick,
            Ok(()) = worker.changed() => Input::Able(is_able(&worker.borrow_and_update())),
            Ok(()) = freed.changed() => Input::Freed,
            Ok(()) = others.changed() => {
                let held = *others.borrow_and_update();
                Input::Busy(held > usize::from(shell.holds))
            }
            () = stop.cancelled(), if !stopped => {
                stopped = true;
                Input::Stop
            }
        };
        shell.feed(input);
    }
}

/// The answer to the question under way; never, where there is none.
async fn reply(under_way: &mut Option<UnderWay>) -> (Kept, Reply) {
    match under_way {
        Some(asked) => asked.await,
        None => std::future::pending().await,
    }
}

impl Shell {
    fn at(&self, millis: Millis) -> Instant {
        self.started + Duration::from_millis(millis)
    }

    fn feed(&mut self, input: Input) {
        let now = Millis::try_from(self.started.elapsed().as_millis()).unwrap_or(Millis::MAX);
        for output in self.machine.handle(now, input) {
            self.ask(output);
        }
        self.tell(now);
    }

    fn ask(&mut self, output: Output) {
        // Where one is under way still, it is given up, and its connection with it.
        self.under_way = None;
        let mut kept = std::mem::take(&mut self.connection);
        let (servers, role, process) = (self.parts.database.clone(), self.parts.role, self.parts.process);
        let lasts_ms = self.parts.limits.lasts_ms;
        self.under_way = Some(Box::pin(async move {
            let (Output::Keep { attempt } | Output::GiveBack { attempt, .. }) = output;
            let asked = async {
                let mut connection = kept.take(&servers).await?;
                let reply = match output {
                    Output::Keep { .. } => {
                        Reply::Standing(attempt, keep(&mut connection, role, process, lasts_ms).await?)
                    }
                    Output::GiveBack { number, .. } => {
                        give_back(&mut connection, role, process, number).await?;
                        Reply::GivenBack(attempt)
                    }
                };
                kept.give_back(connection);
                Ok((kept, reply))
            };
            asked.await.unwrap_or_else(|error| (Kept::default(), Reply::Failed(attempt, error)))
        }));
    }

    fn answered(&mut self, connection: Kept, reply: Reply) -> Input {
        self.under_way = None;
        self.connection = connection;
        if let Reply::Failed(attempt, error) = reply {
            self.failures = self.failures.saturating_add(1);
            if self.failures == TROUBLE_AFTER {
                tracing::warn!(role = %self.parts.role, %error, "the lease can't be asked for");
            }
            self.trouble = (self.failures >= TROUBLE_AFTER).then(|| error.to_string());
            return Input::Failed { attempt };
        }
        (self.failures, self.trouble) = (0, None);
        match reply {
            Reply::Standing(attempt, standing) => {
                self.standing = Some(standing);
                let Standing { holder, term, number, left_ms } = standing;
                if holder == self.parts.process {
                    Input::Kept { attempt, term, number, left_ms }
                } else {
                    Input::Taken { attempt, left_ms }
                }
            }
            Reply::GivenBack(attempt) | Reply::Failed(attempt, _) => {
                self.standing = None;
                Input::GivenBack { attempt }
            }
        }
    }

    fn tell(&mut self, now: Millis) {
        let held_until = self.machine.held_until(now).map(|until| self.at(until));
        let holds = held_until.is_some();
        if holds != self.holds {
            let term = self.standing.map_or(0, |standing| standing.term);
            let told = if holds { "took the lease" } else { "does not hold the lease any more" };
            tracing::info!(role = %self.parts.role, term, "{told}");
            self.holds = holds;
            self.parts.count.send_modify(|count| {
                *count = if holds { *count + 1 } else { count.saturating_sub(1) };
            });
        }
        let trouble = self.trouble.clone();
        self.parts.status.send_replace(LeaseStatus { held_until, standing: self.standing, trouble });
    }
}
