//! A base backup and the archived WAL, restored to a point in time: what `docs/backup.md` tells an operator to do.

use std::os::unix::fs::{MetadataExt, chown};
use std::path::Path;
use std::time::Duration;

use vtid_ledger::domain::cursor::Cursor;

use super::asynchronous::is_held;
use super::pair::{DATABASE, Node};
use crate::support::load::Load;
use crate::support::service::{Service, run_program, some_task};
use crate::support::stream::{assert_stream_is_the_log, log_after};
use crate::support::{NatsFlavor, eventually, folder, nats};

async fn written(service: &Service, count: usize) {
    let load = Load::start(&[service], 4, Duration::from_millis(2));
    load.further(count).await;
    load.stop().await;
}

/// Gives `path` to whom `like` belongs: under root the servers run as an ordinary user.
fn own_like(path: &Path, like: &Path) {
    let like = std::fs::metadata(like).unwrap();
    chown(path, Some(like.uid()), Some(like.gid())).unwrap();
}

fn set(node: &mut Node, name: &str, value: String) {
    node.options.settings.push((name.to_owned(), value));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_restore_to_a_point_in_time_is_told_and_what_it_lacks_comes_back() {
    let (folder, nats) = (folder(), nats(NatsFlavor::Current).await);
    let archive = folder.path().join("archive");
    std::fs::create_dir(&archive).unwrap();
    let mut node = Node::new(&folder.path().join("ledger"));
    set(&mut node, "archive_mode", "on".to_owned());
    set(&mut node, "archive_command", format!("test ! -f {0}/%f && cp %p {0}/%f", archive.display()));
    node.start().await;
    own_like(&archive, &node.options.folder.join("data"));
    node.server().create_database(DATABASE).await.unwrap();
    let login = node.server().service_login().await.unwrap();
    vtid_ledger::database::migrate(&node.server().url(DATABASE)).await.unwrap();
    let (owner, url) = (node.server().url(DATABASE), node.server().service_url(&login, DATABASE));
    let mut command = crate::support::service::program_on(&url, &nats.url());
    command.args(["serve", "--listen", "127.0.0.1:0"]).stdout(std::process::Stdio::null());
    let service = Service::start(command);
    super::stage::whole(&service, 0).await;

    // The backup, and what comes after it: up to the point in time, and behind it.
    written(&service, 40).await;
    let mut restored = Node::new(&folder.path().join("restored"));
    restored.options.port = node.options.port;
    node.server().copy_into(&restored.options, None).await.unwrap();
    written(&service, 40).await;
    let kept = log_after(&owner, Cursor::Start).await.len();
    node.execute("select pg_create_restore_point('before_the_mistake')").await;
    written(&service, 30).await;
    let published = assert_stream_is_the_log(&owner, &nats.url()).await;
    let archived =
        "select last_archived_wal >= (select pg_walfile_name(pg_switch_wal())) from pg_stat_archiver";
    node.until("the WAL to be archived", archived).await;
    node.shut_down().await;

    // The restore, at the same address.
    set(&mut restored, "restore_command", format!("cp {}/%f %p", archive.display()));
    set(&mut restored, "recovery_target_name", "before_the_mistake".to_owned());
    set(&mut restored, "recovery_target_action", "promote".to_owned());
    let data = restored.options.folder.join("data");
    std::fs::write(data.join("recovery.signal"), "").unwrap();
    own_like(&data.join("recovery.signal"), &data);
    restored.start().await;
    restored.until("the restore to end", "select not pg_is_in_recovery()").await;
    let lost = published.last().unwrap().event.vtid.to_string();
    is_held(&service, &lost).await;
    assert_eq!(log_after(&owner, Cursor::Start).await, published[..kept], "as it was at that point");

    // The way out.
    let listed = run_program(&url, &nats.url(), &["oasis", "recover"]).await.succeeded();
    for recorded in &published[kept..] {
        let line = format!("{}  lost by the ledger", recorded.event.position);
        assert!(listed.contains(&line), "{line}: {listed}");
    }
    let told = run_program(&url, &nats.url(), &["oasis", "recover", "--yes"]).await.succeeded();
    println!("{told}");
    let log = log_after(&owner, Cursor::Start).await;
    assert_eq!(log[..published.len()], published[..], "byte for byte");
    eventually("writes go on", async || {
        (service.create(some_task("afterwards")).await.status == 200).then_some(())
    })
    .await;
    super::stage::whole(&service, 0).await;
    assert_stream_is_the_log(&owner, &nats.url()).await;
    run_program(&url, &nats.url(), &["oasis", "check"]).await.succeeded();
    println!(
        "| restored to a point in time, {} events behind, `oasis recover --yes` | 1 | {} | 0 | 0 |",
        published.len() - kept,
        log.len()
    );
}
