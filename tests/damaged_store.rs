//! What Jepsen did to NATS 2.12.1, on one server of each version that is supported: files of its store damaged, cut short
//! or gone, and the newest messages lost as by a power cut. Each time the stream is whole again from the ledger, by
//! itself or, where the damage is named, by a rebuild.

use std::fs::{self, OpenOptions};
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};

use crate::support::service::{Ended, Platform, Service, platform_on, some_task};
use crate::support::stream::{assert_stream_is_the_log, log_after};
use crate::support::subscriber::Subscriber;
use crate::support::{NatsFlavor, eventually};
use vtid_ledger::domain::cursor::Cursor;

const STREAM: &str = "OASIS_VTID_LEDGER";

/// Every file of the stream whose name ends so.
fn files(store: &Path, end: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders = vec![store.to_path_buf()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let name = path.to_str().unwrap();
            if path.is_dir() {
                folders.push(path);
            } else if name.ends_with(end) && name.contains(STREAM) {
                found.push(path);
            }
        }
    }
    found.sort();
    found
}

fn first_block(store: &Path) -> PathBuf {
    files(store, ".blk").into_iter().next().expect("the stream has a block of messages")
}

/// What the server keeps beside the messages, so as not to read them all when it starts.
fn forget_indexes(store: &Path) {
    for end in [".idx", ".fss", "index.db"] {
        for file in files(store, end) {
            fs::remove_file(file).unwrap();
        }
    }
}

fn flip_a_bit(file: &Path) {
    let middle = fs::metadata(file).unwrap().len() / 2;
    flip_a_bit_at(file, middle);
}

fn flip_a_bit_at(file: &Path, place: u64) {
    let file = OpenOptions::new().read(true).write(true).open(file).unwrap();
    let mut byte = [0];
    file.read_exact_at(&mut byte, place).unwrap();
    file.write_all_at(&[byte[0] ^ 1], place).unwrap();
}

fn cut_short(file: &Path) {
    let file = OpenOptions::new().write(true).open(file).unwrap();
    file.set_len(file.metadata().unwrap().len() / 2).unwrap();
}

async fn created(service: &Service, count: usize) {
    for n in 0..count {
        service.create(some_task(&format!("task {n}"))).await.expect(200);
    }
}

/// Waits until the stream is the log, or the check names what is wrong.
async fn whole_or_named(platform: &Platform) -> Option<Ended> {
    eventually("the stream is whole, or the damage named", async || {
        let checked = platform.run(&["oasis", "check"]).await;
        if !checked.success {
            return Some(Some(checked));
        }
        let behind = checked.out.contains("not published yet") || checked.out.contains("does not exist");
        (!behind).then_some(None)
    })
    .await
}

/// Damages the store of a stream that has 60 messages, and goes on.
async fn recovers(flavor: NatsFlavor, what: &str, damage: impl FnOnce(&Path)) {
    let mut platform = platform_on(flavor).await;
    let service = platform.serve().await;
    created(&service, 60).await;
    assert_stream_is_the_log(platform.database.url(), &platform.nats.url()).await;
    platform.nats.damage(damage).await;
    created(&service, 5).await;
    // It meets the damage.
    let mut subscriber = Subscriber::start(&platform.nats.url());
    let log = log_after(platform.database.url(), Cursor::Start).await;
    if let Some(named) = whole_or_named(&platform).await {
        println!("{what}, {flavor:?}: named: {:?} {:?}", named.out, named.error);
        platform.run(&["oasis", "rebuild"]).await.succeeded();
    } else {
        println!("{what}, {flavor:?}: whole by itself");
    }
    created(&service, 5).await;
    let now = assert_stream_is_the_log(platform.database.url(), &platform.nats.url()).await;
    assert_eq!((&now[..65], now.len()), (&log[..], 70), "{what}");
    assert!(platform.run(&["oasis", "check"]).await.succeeded().contains("70 messages, 0 of them different"));
    subscriber.has_handled(70).await;
}

/// Further back than is read on a new connection: only who reads the whole stream finds it.
async fn damage_far_back_is_named_by_itself(flavor: NatsFlavor) {
    let mut platform = platform_on(flavor).await;
    let service = platform.serve().await;
    for _ in 0..EVENTS / 50 {
        let fifty = (0..50).map(|n| service.create(some_task(&format!("task {n}"))));
        for created in futures::future::join_all(fifty).await {
            created.expect(200);
        }
    }
    assert_stream_is_the_log(platform.database.url(), &platform.nats.url()).await;
    platform.nats.damage(|store| flip_a_bit_at(&first_block(store), 700)).await;
    eventually("the damage is named", async || {
        let degraded = service.get("/readyz").await.expect(200).body["degraded"].to_string();
        degraded.contains("the message at sequence 1 is not the ledger's event").then_some(())
    })
    .await;
    platform.run(&["oasis", "rebuild"]).await.succeeded();
    assert_stream_is_the_log(platform.database.url(), &platform.nats.url()).await;
    eventually("nothing is degraded any more", async || {
        (service.get("/readyz").await.body["degraded"] == serde_json::json!([])).then_some(())
    })
    .await;
}

/// More than are read back.
const EVENTS: usize = 1_200;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn damage_far_back_is_named_by_itself_oldest() {
    damage_far_back_is_named_by_itself(NatsFlavor::Oldest).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn damage_far_back_is_named_by_itself_current() {
    damage_far_back_is_named_by_itself(NatsFlavor::Current).await;
}

macro_rules! each_version {
    ($($(#[$doc:meta])* $oldest:ident $current:ident: $damage:expr,)*) => {$(
        $(#[$doc])*
        #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
        async fn $oldest() {
            recovers(NatsFlavor::Oldest, stringify!($oldest), $damage).await;
        }

        $(#[$doc])*
        #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
        async fn $current() {
            recovers(NatsFlavor::Current, stringify!($current), $damage).await;
        }
    )*};
}

each_version! {
    /// Found only when the message is read.
    a_bit_of_a_message_flips_oldest a_bit_of_a_message_flips_current:
        |store| flip_a_bit(&first_block(store)),
    /// Found when the server starts.
    a_bit_flips_and_the_indexes_are_gone_oldest a_bit_flips_and_the_indexes_are_gone_current: |store| {
        flip_a_bit(&first_block(store));
        forget_indexes(store);
    },
    a_block_is_cut_short_oldest a_block_is_cut_short_current: |store| cut_short(&first_block(store)),
    /// As after a power cut: by default NATS flushes every two minutes.
    the_newest_messages_never_reached_the_disk_oldest the_newest_messages_never_reached_the_disk_current:
        |store| {
            cut_short(&first_block(store));
            forget_indexes(store);
        },
    a_block_is_gone_oldest a_block_is_gone_current: |store| fs::remove_file(first_block(store)).unwrap(),
    what_the_stream_is_called_is_damaged_oldest what_the_stream_is_called_is_damaged_current:
        |store| files(store, "meta.inf").iter().for_each(|file| flip_a_bit(file)),
    what_the_stream_is_called_is_cut_short_oldest what_the_stream_is_called_is_cut_short_current:
        |store| files(store, "meta.inf").iter().for_each(|file| cut_short(file)),
    the_checksum_of_its_settings_is_damaged_oldest the_checksum_of_its_settings_is_damaged_current:
        |store| files(store, "meta.sum").iter().for_each(|file| flip_a_bit(file)),
    the_indexes_are_damaged_oldest the_indexes_are_damaged_current: |store| {
        for end in [".idx", ".fss", "index.db"] {
            for file in files(store, end) {
                flip_a_bit(&file);
            }
        }
    },
    the_stream_is_gone_oldest the_stream_is_gone_current: |store| {
        let block = first_block(store);
        fs::remove_dir_all(block.parent().unwrap().parent().unwrap()).unwrap();
    },
}
