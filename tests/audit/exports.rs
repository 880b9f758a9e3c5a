//! `audit export`: where it writes.

use std::path::Path;

use crate::support::folder;
use crate::support::service::{platform, run_program, some_task};

#[tokio::test]
async fn an_export_goes_where_it_is_sent() {
    let platform = platform().await;
    let mut service = platform.serve().await;
    service.create(some_task("exported")).await.expect(200);
    service.terminate();
    service.ended().await;
    let folder = folder();
    let path = |name: &str| folder.path().join(name);
    let export = async |to: &Path| platform.run(&["audit", "export", "--out", to.to_str().unwrap()]).await;
    let whole = platform.run(&["audit", "export", "--out", "-"]).await.succeeded();
    // In place of a file, and through a link to one.
    std::fs::write(path("there"), "something else").unwrap();
    std::os::unix::fs::symlink(path("there"), path("link")).unwrap();
    for name in ["new", "there", "link"] {
        let told = export(&path(name)).await.succeeded();
        assert!(told.starts_with("exported 1 events"), "{told}");
        assert_eq!(std::fs::read_to_string(path(name)).unwrap(), whole, "{name}");
    }
    assert!(path("link").is_symlink());
    // Into a device or a pipe, which stays one.
    let standard = platform.run(&["audit", "export", "--out", "/dev/stdout"]).await;
    assert!(standard.success && standard.out == whole, "{standard:?}");
    nix::unistd::mkfifo(&path("pipe"), nix::sys::stat::Mode::S_IRWXU).unwrap();
    let from = path("pipe");
    let read = tokio::task::spawn_blocking(move || std::fs::read_to_string(from).unwrap());
    export(&path("pipe")).await.succeeded();
    assert_eq!(read.await.unwrap(), whole);
    assert!(!path("pipe").is_file());
    // Where it can't go, nothing is left behind.
    for wrong in [folder.path().to_owned(), path("missing/file"), path("new/file")] {
        let refused = export(&wrong).await.failed();
        assert!(refused.contains(wrong.to_str().unwrap()), "{refused}");
    }
    // And a file stays what it is where the export fails.
    let unmigrated = crate::support::database().await;
    let to = path("there");
    let arguments = ["audit", "export", "--out", to.to_str().unwrap()];
    run_program(unmigrated.url(), &platform.nats.url(), &arguments).await.failed();
    assert_eq!(std::fs::read_to_string(&to).unwrap(), whole);
    let mut names: Vec<_> =
        std::fs::read_dir(folder.path()).unwrap().map(|e| e.unwrap().file_name()).collect();
    names.sort();
    assert_eq!(names, ["link", "new", "pipe", "there"]);
}
