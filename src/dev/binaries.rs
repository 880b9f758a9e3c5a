//! Where the programs of PostgreSQL and NATS are.

use std::env;
use std::ffi::OsString;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::error::DevError;

/// Names a folder that holds `initdb` and `postgres`; goes before the search.
pub const POSTGRES_VARIABLE: &str = "VTID_POSTGRES_BIN";
/// Names the `nats-server` file; goes before the search.
pub const NATS_VARIABLE: &str = "VTID_NATS_SERVER";

/// The oldest PostgreSQL that the ledger runs on.
const OLDEST_POSTGRES: u32 = 15;

const INSTALL_POSTGRES: &str = if cfg!(target_os = "macos") {
    "brew install postgresql@17"
} else {
    "sudo apt-get install -y postgresql"
};
const INSTALL_NATS: &str = if cfg!(target_os = "macos") {
    "brew install nats-server"
} else {
    "sudo apt-get install -y nats-server"
};

/// `initdb` and `postgres` of one installation.
#[derive(Clone, Debug)]
pub(super) struct PostgresBinaries {
    pub(super) initdb: PathBuf,
    pub(super) postgres: PathBuf,
}

/// The folder of PostgreSQL's programs, found as the private servers find them, for other tools that run them.
///
/// # Errors
/// Missing, or too old.
pub fn postgres_programs() -> Result<PathBuf, DevError> {
    PostgresBinaries::find(None)?.folder()
}

impl PostgresBinaries {
    /// Where the other programs of the installation are: what stands on PATH may be a link to `postgres` alone, with the
    /// others beside what it leads to.
    pub(super) fn folder(&self) -> Result<PathBuf, DevError> {
        let postgres = self.postgres.canonicalize().map_err(DevError::io("find", &self.postgres))?;
        Ok(postgres.parent().unwrap_or(Path::new("/")).to_path_buf())
    }

    /// In `folder` if one is given, else in the folder that `VTID_POSTGRES_BIN` names, else the first of `PATH`,
    /// `/usr/lib/postgresql/*/bin` and Homebrew's folders that has both programs.
    pub(super) fn find(folder: Option<&Path>) -> Result<Self, DevError> {
        let named = folder.map(Path::to_path_buf).or_else(|| variable(POSTGRES_VARIABLE));
        let places = named.map_or_else(postgres_places, |folder| vec![folder]);
        let found = Self::in_places(&places)?;
        found.check_version()?;
        Ok(found)
    }

    fn in_places(places: &[PathBuf]) -> Result<Self, DevError> {
        let missing = |program| DevError::MissingBinary {
            program,
            install: INSTALL_POSTGRES,
            variable: POSTGRES_VARIABLE,
        };
        let has_postgres = |place: &&PathBuf| is_program(&place.join("postgres"));
        let Some(place) =
            places.iter().find(|place| has_postgres(place) && is_program(&place.join("initdb")))
        else {
            return Err(missing(if places.iter().any(|place| has_postgres(&place)) {
                "initdb"
            } else {
                "postgres"
            }));
        };
        Ok(Self { initdb: place.join("initdb"), postgres: place.join("postgres") })
    }

    fn check_version(&self) -> Result<(), DevError> {
        let output = Command::new(&self.postgres)
            .arg("--version")
            .output()
            .map_err(DevError::io("run", &self.postgres))?;
        // "postgres (PostgreSQL) 15.6 (Debian …)"; whatever looks different is left to the server itself.
        match major_version(&String::from_utf8_lossy(&output.stdout)) {
            Some(found) if found < OLDEST_POSTGRES => Err(DevError::TooOld {
                path: self.postgres.clone(),
                found,
                wanted: OLDEST_POSTGRES,
                install: INSTALL_POSTGRES,
            }),
            _ => Ok(()),
        }
    }
}

/// The file that is given, else the one that `VTID_NATS_SERVER` names, else the first of `PATH`, `/usr/sbin` and
/// Homebrew's folders.
pub(super) fn find_nats(file: Option<&Path>) -> Result<PathBuf, DevError> {
    let named = file.map(Path::to_path_buf).or_else(|| variable(NATS_VARIABLE));
    named.map_or_else(nats_candidates, |file| vec![file]).into_iter().find(|file| is_program(file)).ok_or(
        DevError::MissingBinary { program: "nats-server", install: INSTALL_NATS, variable: NATS_VARIABLE },
    )
}

fn postgres_places() -> Vec<PathBuf> {
    let mut places = path_folders();
    places.extend(versions("/usr/lib/postgresql", ""));
    places.extend(versions("/opt/homebrew/opt", "postgresql@"));
    places.extend(versions("/usr/local/opt", "postgresql@"));
    places
}

fn nats_candidates() -> Vec<PathBuf> {
    let fixed = ["/usr/sbin", "/usr/local/sbin", "/usr/local/bin", "/opt/homebrew/bin"];
    path_folders()
        .into_iter()
        .chain(fixed.map(PathBuf::from))
        .map(|folder| folder.join("nats-server"))
        .collect()
}

/// The `bin` folders of `root/<prefix><version>`, highest version first.
fn versions(root: &str, prefix: &str) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(root) else {
        return Vec::new();
    };
    let mut found: Vec<(u32, PathBuf)> = entries
        .flatten()
        .filter_map(|entry| {
            let name = entry.file_name().into_string().ok()?;
            let version = name.strip_prefix(prefix)?.parse().ok()?;
            Some((version, entry.path().join("bin")))
        })
        .collect();
    found.sort_by_key(|(version, _)| std::cmp::Reverse(*version));
    found.into_iter().map(|(_, folder)| folder).collect()
}

fn path_folders() -> Vec<PathBuf> {
    // A relative entry would mean something else for the server, whose working directory is another.
    env::split_paths(&env::var_os("PATH").unwrap_or_default()).filter(|folder| folder.is_absolute()).collect()
}

fn variable(name: &str) -> Option<PathBuf> {
    env::var_os(name).filter(|value: &OsString| !value.is_empty()).map(PathBuf::from)
}

fn is_program(file: &Path) -> bool {
    fs::metadata(file).is_ok_and(|found| found.is_file() && found.permissions().mode() & 0o111 != 0)
}

fn major_version(output: &str) -> Option<u32> {
    let number = output.split_whitespace().nth(2)?;
    number.split(|c: char| !c.is_ascii_digit()).next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_the_major_version() {
        assert_eq!(major_version("postgres (PostgreSQL) 15.6 (Debian 15.6-0+deb12u1)\n"), Some(15));
        assert_eq!(major_version("postgres (PostgreSQL) 18beta1\n"), Some(18));
        assert_eq!(major_version("something else\n"), None);
    }

    #[test]
    fn a_folder_without_initdb_names_initdb() {
        let folder = tempfile::tempdir().unwrap();
        let postgres = folder.path().join("postgres");
        fs::write(&postgres, "").unwrap();
        fs::set_permissions(&postgres, fs::Permissions::from_mode(0o755)).unwrap();
        let error = PostgresBinaries::in_places(&[folder.path().to_path_buf()]).unwrap_err();
        assert!(matches!(error, DevError::MissingBinary { program: "initdb", .. }), "{error}");
    }

    #[test]
    fn the_highest_version_comes_first_and_as_a_number() {
        let root = tempfile::tempdir().unwrap();
        for name in ["postgresql@9", "postgresql@17", "postgresql@15", "postgresql", "other@99"] {
            fs::create_dir(root.path().join(name)).unwrap();
        }
        let found = versions(root.path().to_str().unwrap(), "postgresql@");
        let expected: Vec<PathBuf> = ["postgresql@17", "postgresql@15", "postgresql@9"]
            .iter()
            .map(|name| root.path().join(name).join("bin"))
            .collect();
        assert_eq!(found, expected);
    }
}
