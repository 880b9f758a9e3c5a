//! The relay's machine by hand, and against a model of the stream.

mod random;
mod scenarios;
mod stops;
mod world;
