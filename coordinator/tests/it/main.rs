//! The store against its promises, the ledger thread against a failing store, and a real coordinator against real
//! connections: honest, broken and hostile ones.

mod bad_input;
mod binary;
mod conformance;
mod http;
mod ledger;
mod market;
mod money;
mod raw;
mod restart;
mod sqlite;
mod world;
