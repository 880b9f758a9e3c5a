//! The projector's own connection.

use std::time::Duration;

use sqlx::PgConnection;
use tokio::time::timeout;

use crate::log::servers::{Kept, Servers};

/// Runs `work` on the projector's own connection, which is dropped whenever it fails or does not answer within `limit`:
/// what it was doing is then the server's to end.
pub(super) async fn connected<T, E: From<sqlx::Error>>(
    own: &mut Kept,
    servers: &Servers,
    limit: Duration,
    work: impl AsyncFnOnce(&mut PgConnection) -> Result<T, E>,
) -> Result<T, E> {
    let attempt = async {
        let mut connection = own.take(servers).await?;
        let done = work(&mut connection).await?;
        own.give_back(connection);
        Ok(done)
    };
    timeout(limit, attempt).await.unwrap_or_else(|_| Err(sqlx::Error::PoolTimedOut.into()))
}
