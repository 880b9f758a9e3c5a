//! A ledger under test: its servers, its tasks, and the program on them.

use std::time::Duration;

use crate::figures::Figure;
use crate::lines::told;
use crate::load::{self, Load};
use crate::seed::{Seeder, Tasks};
use crate::servers::{Ledger, Servers};
use crate::service::{CaughtUp, Service};
use crate::{Bench, BenchError};

/// A ledger of some thousand tasks has caught up by then.
const PATIENCE: Duration = Duration::from_mins(5);

/// The program on a ledger.
pub(crate) struct Stand {
    pub(crate) ledger: Ledger,
    pub(crate) service: Service,
    pub(crate) tasks: Tasks,
}

impl Stand {
    /// A ledger of its own with so many tasks.
    pub(crate) async fn new(bench: &Bench, name: &str, tasks: u64) -> Result<Self, BenchError> {
        let ledger = bench.servers.ledger(name).await?;
        let mut seeder = Seeder::open(&ledger).await?;
        let tasks = seeder.create(tasks).await?;
        seeder.finish().await?;
        let (stand, _) = Self::on(&bench.servers, ledger, tasks, PATIENCE).await?;
        bench.yardstick.fresh().await?;
        Ok(stand)
    }

    /// On a ledger that is there; waits until projector and relay have caught up.
    pub(crate) async fn on(
        servers: &Servers,
        ledger: Ledger,
        tasks: Tasks,
        patience: Duration,
    ) -> Result<(Self, CaughtUp), BenchError> {
        let mut service = Service::start(servers, &ledger, None).await?;
        let caught_up = service.until_caught_up(patience).await?;
        Ok((Self { ledger, service, tasks }, caught_up))
    }

    /// Creates a second.
    pub(crate) async fn creates(&self, connections: u32, time: Duration) -> Result<Figure, BenchError> {
        Ok(told("creates", self.write(Load::Create { tokens: &[] }, connections, time).await?))
    }

    /// Creates by these callers.
    pub(crate) async fn creates_by(
        &self,
        tokens: &[String],
        connections: u32,
        time: Duration,
    ) -> Result<Figure, BenchError> {
        Ok(told("creates", self.write(Load::Create { tokens }, connections, time).await?))
    }

    /// Patches of these tasks a second.
    pub(crate) async fn patches(
        &self,
        tasks: Tasks,
        connections: u32,
        time: Duration,
    ) -> Result<Figure, BenchError> {
        Ok(told("patches", self.write(Load::Patch { tasks }, connections, time).await?))
    }

    /// Reads of one a second.
    pub(crate) async fn gets(&self, connections: u32, time: Duration) -> Result<Figure, BenchError> {
        Ok(told("GETs", self.read(Load::Get { tasks: self.tasks }, connections, time).await?))
    }

    /// Lists of 50 a second.
    pub(crate) async fn lists(&self, connections: u32, time: Duration) -> Result<Figure, BenchError> {
        Ok(told("lists", self.read(Load::List, connections, time).await?))
    }

    async fn write(&self, load: Load<'_>, connections: u32, time: Duration) -> Result<Figure, BenchError> {
        let before = self.ledger.head().await?;
        let run = load::run(self.service.base(), load, connections, time).await?;
        let grown = self.ledger.head().await?.saturating_sub(before);
        // More may be in: requests that were under way when the time was up.
        if grown < run.answered {
            return Err(BenchError::Log { answered: run.answered, grown });
        }
        self.service.forget_log()?;
        Ok(run.figure)
    }

    async fn read(&self, load: Load<'_>, connections: u32, time: Duration) -> Result<Figure, BenchError> {
        let run = load::run(self.service.base(), load, connections, time).await?;
        self.service.forget_log()?;
        Ok(run.figure)
    }

    /// Stops the program, and starts it again.
    pub(crate) async fn restart(self, servers: &Servers) -> Result<Self, BenchError> {
        let tasks = self.tasks;
        let ledger = self.stop().await?;
        Ok(Self::on(servers, ledger, tasks, PATIENCE).await?.0)
    }

    /// Stops the program.
    pub(crate) async fn stop(self) -> Result<Ledger, BenchError> {
        self.service.stop().await?;
        Ok(self.ledger)
    }

    /// Stops and removes everything.
    pub(crate) async fn end(self, servers: &Servers) -> Result<(), BenchError> {
        self.stop().await?.end(servers).await
    }
}
