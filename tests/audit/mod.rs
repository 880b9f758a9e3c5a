//! Auditing: the rules, the quick look, exports, and the commands as an auditor types them.

mod glances;
mod logs;
mod offline;
mod rules;
