//! Entry bundles: the records of a tile of leaves.

use tokio::sync::OwnedSemaphorePermit;

/// Records, each behind its length in two bytes, and a place among the bundles in memory.
pub struct Bundle {
    bytes: Vec<u8>,
    _place: OwnedSemaphorePermit,
}

impl Bundle {
    pub(super) fn new(bytes: Vec<u8>, place: OwnedSemaphorePermit) -> Self {
        Self { bytes, _place: place }
    }
}

impl AsRef<[u8]> for Bundle {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

/// C2SP `tlog-tiles`: each record behind its length, 16 bits, big-endian.
///
/// # Errors
/// What is wrong with a record: it is longer than any.
pub(super) fn print(records: &[String]) -> Result<Vec<u8>, String> {
    let mut bytes = Vec::with_capacity(records.iter().map(|record| record.len() + 2).sum());
    for record in records {
        let length = u16::try_from(record.len());
        let length = length.map_err(|_| format!("a record of {} bytes", record.len()))?;
        bytes.extend_from_slice(&length.to_be_bytes());
        bytes.extend_from_slice(record.as_bytes());
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bundle_is_each_record_behind_its_length() {
        let records = ["ab".to_owned(), String::new(), "x".repeat(65_535)];
        let bytes = print(&records).unwrap();
        assert_eq!(bytes[..6], *b"\x00\x02ab\x00\x00");
        assert_eq!((&bytes[6..9], bytes.len()), (&b"\xff\xffx"[..], 6 + 2 + 65_535));
        assert!(print(&["x".repeat(65_536)]).is_err());
    }
}
