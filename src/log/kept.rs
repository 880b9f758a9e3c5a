//! A connection of one's own, kept from use to use.

use sqlx::PgConnection;

use super::servers::{Servers, Timeline};

/// A connection kept between uses, until the primary moves.
#[derive(Default)]
pub struct Kept {
    connection: Option<PgConnection>,
    timeline: Timeline,
}

impl Kept {
    /// The one that was kept, else a new one. Whoever does not give it back has given it up.
    ///
    /// # Errors
    /// As [`Servers::connect`].
    pub async fn take(&mut self, servers: &Servers) -> Result<PgConnection, sqlx::Error> {
        let kept = self.connection.take().filter(|_| self.timeline >= servers.timeline());
        if let Some(connection) = kept {
            return Ok(connection);
        }
        let (connection, timeline) = servers.connect().await?;
        self.timeline = timeline;
        Ok(connection)
    }

    /// Nothing is under way on the connection that was taken.
    pub fn give_back(&mut self, connection: PgConnection) {
        self.connection = Some(connection);
    }
}
