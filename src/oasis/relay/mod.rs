//! The relay: the follower that puts every event of the log into the stream, at the sequence that is its position.
pub mod machine;
