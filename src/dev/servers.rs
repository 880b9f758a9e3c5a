//! Both servers of `vtid-ledger dev`, in one data folder.

use std::path::{Path, PathBuf};

use super::endpoints::Endpoints;
use super::error::DevError;
use super::folder::{self, Taken};
use super::nats::{NatsOptions, NatsServer};
use super::postgres::{PostgresOptions, PostgresServer};
use super::user::ServerUser;

/// The private servers of one data folder, which is locked as long as they are held.
#[derive(Debug)]
pub struct DevServers {
    /// The database server.
    pub postgres: PostgresServer,
    /// The message server.
    pub nats: NatsServer,
    data: PathBuf,
    /// Let go last: a folder that can be taken has no servers of ours.
    taken: Taken,
}

impl DevServers {
    /// Starts both servers on the data folder `data`, made where missing, and returns when both answer. `guard` is our
    /// own binary. Data lasts between runs; a run that was killed is recovered from.
    ///
    /// # Errors
    /// The folder in use by another process, out of reach, or a server that can't be started.
    pub async fn start(data: &Path, guard: &Path) -> Result<Self, DevError> {
        let (data, taken) = open(data)?;
        let postgres = PostgresOptions::new(data.join("postgres"), guard);
        let nats = NatsOptions::new(data.join("nats"), guard);
        // Not one after the other, and not giving up on one because of the other: both are settled when this returns.
        let (postgres, nats) = tokio::join!(PostgresServer::start(&postgres), NatsServer::start(&nats));
        match (postgres, nats) {
            (Ok(postgres), Ok(nats)) => Ok(Self { postgres, nats, data, taken }),
            (Ok(postgres), Err(error)) => postgres.stop().await.and(Err(error)),
            (Err(error), Ok(nats)) => nats.stop().await.and(Err(error)),
            (Err(error), Err(_)) => Err(error),
        }
    }

    /// The data folder's canonical path.
    #[must_use]
    pub fn data(&self) -> &Path {
        &self.data
    }

    /// Writes `endpoints.json` for everybody who waits for it; `http` is the API's address, `database` the ledger's.
    ///
    /// # Errors
    /// The file can't be written.
    pub fn write_endpoints(&self, http: &str, database: &str) -> Result<Endpoints, DevError> {
        let endpoints =
            Endpoints { http: http.to_owned(), postgres: self.postgres.url(database), nats: self.nats.url() };
        endpoints.write(&self.data)?;
        Ok(endpoints)
    }

    /// Removes `endpoints.json`, stops both servers in good order, and lets go of the folder.
    ///
    /// # Errors
    /// The first thing that failed; the rest was done nevertheless.
    pub async fn stop(self) -> Result<(), DevError> {
        let removed = Endpoints::remove(&self.data);
        let (postgres, nats) = tokio::join!(self.postgres.stop(), self.nats.stop());
        drop(self.taken);
        removed.and(postgres).and(nats)
    }
}

/// Makes the folder, takes its lock, and removes what a killed run left for others to find.
fn open(data: &Path) -> Result<(PathBuf, Taken), DevError> {
    let user = ServerUser::choose(&data.join("postgres").join("data"))?;
    let data = folder::make(data, user.as_ref())?;
    let taken = folder::take(&data)?;
    Endpoints::remove(&data)?;
    Ok((data, taken))
}
