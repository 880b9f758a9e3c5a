//! Auditing: the rules, the quick look, exports, and the commands as an auditor types them.

mod checkpoints;
mod commands;
mod glances;
mod live;
mod logs;
mod offline;
mod rules;
