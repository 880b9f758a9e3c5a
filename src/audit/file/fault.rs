//! Why a file is no export, or not a whole one.

/// At a line, counted from 1.
#[derive(Debug, thiserror::Error)]
#[error("line {line}: {fault}")]
pub struct FileError {
    /// The line.
    pub line: u64,
    /// What is wrong with it.
    pub fault: FileFault,
}

/// What is wrong with a line.
#[derive(Debug, thiserror::Error)]
pub enum FileFault {
    /// The file can't be read.
    #[error("{0}")]
    Io(#[from] std::io::Error),
    /// The first line is none of this format's.
    #[error("not the first line of an export that this version knows ({})", super::FORMAT)]
    Header,
    /// No line of an export is so long.
    #[error("longer than {} bytes", super::MAX_LINE)]
    TooLong,
    /// The file ends here.
    #[error("the file ends here, without its last line: it was cut")]
    Cut,
    /// Neither a record nor anything else.
    #[error("neither a record nor any other line of an export: {0}")]
    Unknown(String),
    /// Something that belongs elsewhere.
    #[error("{0} does not belong here")]
    Misplaced(&'static str),
    /// Another number of records than the file says.
    #[error("the file has {found} records, and says that they are {said}")]
    Count {
        /// What it says.
        said: u64,
        /// How many there are.
        found: u64,
    },
    /// A record that can't be read.
    #[error("the record of position {position}: {error}")]
    Record {
        /// Its place among the records.
        position: u64,
        /// What is wrong with it.
        error: crate::domain::record::RecordError,
    },
}

impl FileFault {
    /// At a line.
    #[must_use]
    pub fn at(self, line: u64) -> FileError {
        FileError { line, fault: self }
    }
}
