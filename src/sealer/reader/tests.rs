use super::*;
use crate::log::connect;

/// The example of tlog-tiles.md.
#[test]
fn the_tiles_of_a_tree_end_where_the_tree_does() {
    let end = |level, number, width| end_of(70_000, TileKey { level, number }, width);
    assert_eq!(end(0, 272, 256), Some(69_888));
    assert_eq!((end(0, 273, 112), end(0, 273, 113), end(0, 273, 256)), (Some(70_000), None, None));
    assert_eq!((end(0, 0, 256), end(0, 0, 1)), (Some(256), Some(1)));
    assert_eq!((end(1, 0, 256), end(1, 1, 17), end(1, 1, 18)), (Some(65_536), Some(69_888), None));
    assert_eq!((end(2, 0, 1), end(2, 0, 2), end(3, 0, 1)), (Some(65_536), None, None));
    assert_eq!((end(63, 0, 1), end(0, u64::MAX, 256)), (None, None));
    assert_eq!(end_of(0, TileKey { level: 0, number: 0 }, 1), None);
    assert_eq!(end_of(u64::MAX, TileKey { level: 7, number: 0 }, 255), Some(255 << 56));
}

/// A database that does not answer keeps no more than some of those who ask waiting.
#[tokio::test]
async fn strangers_do_not_take_every_place() {
    let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("postgres://nobody@{}/nothing", silent.local_addr().unwrap());
    let pool = connect::pool(connect::options(&url, "test").unwrap(), 1);
    let reader = AuditReader::new(pool, "log".parse().unwrap());
    let mut asking = std::pin::pin!(futures::future::join_all((0..PUBLIC_MAX).map(|_| reader.checkpoint())));
    assert!(futures::poll!(asking.as_mut()).is_pending());
    assert!(matches!(reader.checkpoint().await, Err(AuditFailure::Busy)));
    assert!(matches!(reader.consistency(1, 2).await, Err(AuditFailure::Busy)));
    let tile = reader.tile(TileKey { level: 0, number: 0 }, 256);
    assert!(matches!(tile.await, Err(AuditFailure::Busy)));
}
