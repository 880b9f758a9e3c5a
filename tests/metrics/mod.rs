//! What Prometheus reads: the numbers after known requests, and the rules and the dashboard that use them.

mod database;
mod files;
mod listener;
mod numbers;
mod panels;
mod states;
