//! A clock that is wrong: the program's `clock_gettime` is another, which adds what a file says.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Loaded before libc into the one process that is to have the wrong clock.
const SOURCE: &str = include_str!("clock.c");

/// A library that the program is started with, and the file in which its clock's error stands.
pub(crate) struct FalseClock {
    library: PathBuf,
    offset: PathBuf,
}

impl FalseClock {
    /// Makes one with the machine's C compiler, which every machine with Rust has for a linker.
    ///
    /// # Errors
    /// Why this machine can't: no compiler, or not Linux.
    pub(crate) fn make(folder: &Path) -> io::Result<Self> {
        if !cfg!(target_os = "linux") {
            return Err(io::Error::other("a false clock is loaded by LD_PRELOAD, which is Linux's"));
        }
        let (source, library, offset) =
            (folder.join("clock.c"), folder.join("clock.so"), folder.join("offset"));
        fs::write(&source, SOURCE)?;
        fs::write(&offset, 0_i64.to_ne_bytes())?;
        let mut compile = Command::new("cc");
        compile.args(["-shared", "-fPIC", "-O1", "-o"]).arg(&library).arg(&source).arg("-ldl");
        let compiled = compile.output()?;
        if !compiled.status.success() {
            return Err(io::Error::other(String::from_utf8_lossy(&compiled.stderr).into_owned()));
        }
        Ok(Self { library, offset })
    }

    /// Has a process that is yet to be started go by this clock.
    pub(crate) fn drive(&self, command: &mut Command) {
        command.env("LD_PRELOAD", &self.library).env("FALSE_CLOCK", &self.offset);
    }

    /// It is so many seconds ahead from now on; behind, where negative.
    pub(crate) fn set(&self, ahead_s: i64) {
        let file = File::options().write(true).open(&self.offset).unwrap();
        file.write_all_at(&ahead_s.to_ne_bytes(), 0).unwrap();
    }
}
