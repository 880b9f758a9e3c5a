//! One connection: HTTP/1.1 with its limits, and a close that lets the last answer arrive.

use std::pin::Pin;

use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_io_timeout::TimeoutStream;
use tokio_util::sync::CancellationToken;

use super::app::OfPeer;
use super::limits::{HEAD_BYTES_MAX, HEADERS_MAX, HttpLimits};

/// Serves requests until either side has enough. Once `stop` is cancelled, an idle connection is closed, and one
/// with a request under way after its answer.
pub(super) async fn run(stream: TcpStream, app: OfPeer, limits: HttpLimits, stop: CancellationToken) {
    let mut stream = Box::pin(TimeoutStream::new(stream));
    stream.as_mut().set_write_timeout_pinned(Some(limits.write_stall_timeout));
    let mut connection = http1(&limits).serve_connection(TokioIo::new(stream), app);
    let served = tokio::select! {
        served = &mut connection => served,
        () = stop.cancelled() => {
            Pin::new(&mut connection).graceful_shutdown();
            (&mut connection).await
        }
    };
    if let Err(error) = served {
        tracing::debug!(cause = %error, "a connection broke off");
    }
    linger(connection.into_parts().io.into_inner(), &limits).await;
}

fn http1(limits: &HttpLimits) -> http1::Builder {
    let mut builder = http1::Builder::new();
    builder
        .timer(TokioTimer::new())
        .header_read_timeout(limits.head_read_timeout)
        .max_headers(HEADERS_MAX)
        .max_buf_size(HEAD_BYTES_MAX);
    builder
}

/// Says that nothing more will come, and reads what the caller still sends. Closing over unread bytes would have
/// the kernel reset the connection, and the caller might lose an answer (a 413, say) that came before its body's end.
async fn linger(mut stream: Pin<Box<TimeoutStream<TcpStream>>>, limits: &HttpLimits) {
    let discard = async {
        let mut scrap = vec![0; 16 * 1024];
        stream.shutdown().await?;
        while stream.read(&mut scrap).await? > 0 {}
        Ok::<_, std::io::Error>(())
    };
    // An error or the end of the time: the caller is gone, or had its chance.
    let _ = tokio::time::timeout(limits.linger, discard).await;
}
