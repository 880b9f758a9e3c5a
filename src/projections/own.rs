//! The projector's own connection.

use std::time::Duration;

use sqlx::PgConnection;
use sqlx::postgres::PgConnectOptions;
use tokio::time::timeout;

use crate::log::connect::connect;

/// Runs `work` on the projector's own connection, which is dropped whenever it fails or does not answer within `limit`:
/// what it was doing is then the server's to end.
pub(super) async fn connected<T, E: From<sqlx::Error>>(
    own: &mut Option<PgConnection>,
    options: &PgConnectOptions,
    limit: Duration,
    work: impl AsyncFnOnce(&mut PgConnection) -> Result<T, E>,
) -> Result<T, E> {
    let attempt = async {
        let mut connection = match own.take() {
            Some(connection) => connection,
            None => connect(options).await?,
        };
        let done = work(&mut connection).await?;
        *own = Some(connection);
        Ok(done)
    };
    timeout(limit, attempt).await.unwrap_or_else(|_| Err(sqlx::Error::PoolTimedOut.into()))
}
