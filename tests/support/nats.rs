//! A NATS server for each test.

use std::fs;
use std::os::unix::fs::{MetadataExt as _, chown};
use std::path::{Path, PathBuf};

use nix::sys::signal::{Signal, kill};
use tempfile::TempDir;
use vtid_ledger::dev::{DevError, NatsOptions, NatsServer};

use super::probes::pid;

/// Which nats-server: both ends of what the ledger supports.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum NatsFlavor {
    /// Debian's, 2.9, or wherever else the product finds one.
    Oldest,
    /// The current one, which `make test-deps` installs.
    Current,
}

impl NatsFlavor {
    fn binary(self, folder: &Path) -> Option<PathBuf> {
        match self {
            Self::Oldest => None,
            Self::Current => {
                let installed =
                    Path::new(env!("CARGO_MANIFEST_DIR")).join(".tools/nats-current/bin/nats-server");
                assert!(installed.exists(), "{} is missing: run `make test-deps`", installed.display());
                // Under root the server runs as an ordinary user, who may not get at our working copy.
                let copy = folder.join("nats-server");
                // By another process: one that this one forks meanwhile would inherit the open copy, and a program that is
                // open for writing can't be run.
                let copied = std::process::Command::new("cp").arg(&installed).arg(&copy).status().unwrap();
                assert!(copied.success(), "{} can't be copied", installed.display());
                Some(copy)
            }
        }
    }
}

/// A NATS server of one test. It ends with the test, and its store is removed.
pub(crate) struct TestNats {
    options: NatsOptions,
    server: Option<NatsServer>,
    /// Not removed by us while a server runs in it.
    folder: Option<TempDir>,
}

/// Starts a server with an empty store.
pub(crate) async fn nats(flavor: NatsFlavor) -> TestNats {
    nats_with(flavor, "").await
}

/// Starts a server with an empty store and further settings.
pub(crate) async fn nats_with(flavor: NatsFlavor, extra_config: &str) -> TestNats {
    let mut nats = TestNats::new(flavor, extra_config);
    nats.start().await;
    nats
}

impl TestNats {
    fn new(flavor: NatsFlavor, extra_config: &str) -> Self {
        let folder = super::folder();
        let mut options = NatsOptions::new(folder.path(), super::program());
        options.binary = flavor.binary(folder.path());
        options.extra_config = extra_config.to_owned();
        options.remove_on_drop = true;
        Self { options, server: None, folder: Some(folder) }
    }

    /// One of a cluster, with a name that stays; not started yet.
    pub(super) fn node(flavor: NatsFlavor, name: &str, extra_config: &str) -> Self {
        let mut node = Self::new(flavor, extra_config);
        node.options.name = Some(name.to_owned());
        node
    }

    /// Whether it was started and not stopped since.
    pub(super) fn is_started(&self) -> bool {
        self.server.is_some()
    }

    /// The server's address, which stays the same when it is started again.
    pub(crate) fn url(&self) -> String {
        let port = self.server.as_ref().map(NatsServer::port).or(self.options.port);
        format!("nats://127.0.0.1:{}", port.expect("it was started once"))
    }

    /// The running server.
    pub(crate) fn server(&self) -> &NatsServer {
        self.server.as_ref().expect("the test has stopped its NATS")
    }

    /// Stops the server; its store stays.
    pub(crate) async fn stop(&mut self) {
        if let Some(server) = self.server.take() {
            server.stop().await.unwrap();
        }
    }

    /// Starts the server again, on the same port and store.
    pub(crate) async fn start(&mut self) {
        self.try_start().await.unwrap();
    }

    /// The same, where somebody else may have one of its ports.
    pub(super) async fn try_start(&mut self) -> Result<(), DevError> {
        let server = NatsServer::start(&self.options).await?;
        self.options.port = Some(server.port());
        self.server = Some(server);
        Ok(())
    }

    /// SIGKILL: nothing is finished. Its store is as it was at that moment.
    pub(crate) async fn kill(&mut self) {
        kill(pid(self.server().pid()), Signal::SIGKILL).unwrap();
        self.stop().await;
    }

    /// Starts the server again with room for so many bytes of streams; for as many as there are, with none.
    pub(crate) async fn limit_store(&mut self, bytes: Option<u64>) {
        self.stop().await;
        let store = self.store();
        // Said again, the settings replace what they said before.
        let limit = |bytes| format!("jetstream {{ store_dir: {store:?}, max_file_store: {bytes} }}");
        self.options.extra_config = bytes.map_or(String::new(), limit);
        self.start().await;
    }

    /// How a server is started on the same store, on another port: nobody finds it but who started it.
    pub(crate) fn hidden(&self) -> NatsOptions {
        NatsOptions { port: None, remove_on_drop: false, ..self.options.clone() }
    }

    /// Stops the server for as long as it takes to copy its store.
    pub(crate) async fn snapshot_store(&mut self) -> StoreCopy {
        let folder = super::folder();
        self.stop().await;
        copy_folder(&self.store(), &folder.path().join("jetstream"));
        self.start().await;
        StoreCopy { folder }
    }

    /// Starts the server again with what it held when the copy was made: all later messages are lost.
    pub(crate) async fn restore_store(&mut self, copy: &StoreCopy) {
        self.stop().await;
        fs::remove_dir_all(self.store()).unwrap();
        copy_folder(&copy.folder.path().join("jetstream"), &self.store());
        self.start().await;
    }

    /// Starts the server again with an empty store: not even the stream is there.
    pub(crate) async fn wipe_store(&mut self) {
        self.stop().await;
        fs::remove_dir_all(self.store()).unwrap();
        self.start().await;
    }

    /// Stops the server for as long as its store is damaged.
    pub(crate) async fn damage(&mut self, damage: impl FnOnce(&Path)) {
        self.stop().await;
        damage(&self.store());
        self.start().await;
    }

    /// All that it has logged, since its first start.
    pub(crate) fn log(&self) -> String {
        let log = fs::read(self.options.folder.join("server.log")).unwrap();
        String::from_utf8_lossy(&log).into_owned()
    }

    /// The folder of its store.
    pub(crate) fn store(&self) -> PathBuf {
        self.options.folder.join("jetstream")
    }
}

/// A server's store as it was at some time.
pub(crate) struct StoreCopy {
    folder: TempDir,
}

/// Copies a folder with all that is in it. Under root it stays the server's user's.
fn copy_folder(from: &Path, to: &Path) {
    fs::create_dir(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let (source, target) = (entry.as_ref().unwrap().path(), to.join(entry.unwrap().file_name()));
        if source.is_dir() {
            copy_folder(&source, &target);
        } else {
            fs::copy(&source, &target).unwrap();
            own_as(&source, &target);
        }
    }
    fs::set_permissions(to, fs::metadata(from).unwrap().permissions()).unwrap();
    own_as(from, to);
}

fn own_as(model: &Path, path: &Path) {
    let owner = fs::metadata(model).unwrap();
    chown(path, Some(owner.uid()), Some(owner.gid())).unwrap();
}

impl Drop for TestNats {
    fn drop(&mut self) {
        // A running server's folder is the guard's to remove, once the server has ended.
        if self.server.is_some()
            && let Some(folder) = self.folder.take()
        {
            let _ = folder.keep();
        }
    }
}
