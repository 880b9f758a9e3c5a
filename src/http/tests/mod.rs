//! The API over a real socket; the tests stand at the other end of the writer's queue.

mod limits;
mod order;
mod reads;
mod shutdown;
pub(super) mod support;
mod writes;
