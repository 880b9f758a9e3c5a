//! Accepting connections, and stopping.

use std::io;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::app::App;
use super::connection;

/// After an error that is the process's own (no file descriptors left, say), how long to wait.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Serves `app` until `stop` is cancelled. Then it takes no new connection, closes idle ones, lets requests under
/// way finish, and returns within the limits' grace.
pub async fn serve(listener: TcpListener, app: App, stop: CancellationToken) {
    let places = Arc::new(Semaphore::new(app.limits().connections_max));
    let grace = app.limits().shutdown_grace;
    let mut connections = JoinSet::new();
    while let Some((stream, peer, place)) = next(&listener, &places, &stop, &mut connections).await {
        let served = connection::run(stream, app.for_peer(peer), app.limits().clone(), stop.clone());
        connections.spawn(async move {
            let _place = place;
            served.await;
        });
    }
    drop(listener);
    let all_ended = async { while connections.join_next().await.is_some() {} };
    if tokio::time::timeout(grace, all_ended).await.is_err() {
        tracing::warn!(connections = connections.len(), "requests were cut off by the shutdown");
    }
    connections.shutdown().await;
}

/// The next connection, with its place among them; none once it is time to stop.
async fn next(
    listener: &TcpListener,
    places: &Arc<Semaphore>,
    stop: &CancellationToken,
    connections: &mut JoinSet<()>,
) -> Option<(TcpStream, IpAddr, OwnedSemaphorePermit)> {
    // The semaphore is never closed.
    let place = stop.run_until_cancelled(places.clone().acquire_owned()).await?.ok()?;
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = stop.cancelled() => return None,
            // Lets go of what the ended ones hold.
            Some(ended) = connections.join_next() => {
                if let Err(error) = ended {
                    tracing::error!(cause = %error, "a connection's task failed");
                }
                continue;
            }
        };
        match accepted {
            Ok((stream, peer)) => {
                // Answers are written whole; without it, the kernel may hold back the last packet of one.
                let _ = stream.set_nodelay(true);
                return Some((stream, peer.ip(), place));
            }
            Err(error) if is_of_one_connection(&error) => {}
            Err(error) => {
                tracing::warn!(cause = %error, "no connection can be accepted");
                stop.run_until_cancelled(tokio::time::sleep(ACCEPT_PAUSE)).await?;
            }
        }
    }
}

/// The caller went away before it was accepted; the next one may be there already.
fn is_of_one_connection(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset};
    matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset)
}
