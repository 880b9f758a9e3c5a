//! Private `PostgreSQL` and NATS servers for `vtid-ledger dev` and for the tests.
