//! Exact JSON values: numbers as decimals, keys as sent.
