//! Free ports on 127.0.0.1.

use std::net::{Ipv4Addr, TcpListener};
use std::ops::Range;

use super::error::DevError;

/// Below the ports that Linux (32768 on) and macOS (49152 on) give to outgoing connections: a client that keeps dialling
/// a stopped server on such a port can end up connected to itself, and the server never gets its port back.
const RANGE: Range<u16> = 20_000..32_000;
const TRIES: usize = 200;

/// How many ports a server is started on, one after another, when somebody else is quicker to take them.
pub(super) const START_TRIES: usize = 8;

/// A port that is free right now. Somebody may take it before it is used: the caller must be ready to try again.
pub(super) fn free() -> Result<u16, DevError> {
    (0..TRIES)
        .map(|_| fastrand::u16(RANGE))
        .find(|port| TcpListener::bind((Ipv4Addr::LOCALHOST, *port)).is_ok())
        .ok_or(DevError::NoFreePort)
}
