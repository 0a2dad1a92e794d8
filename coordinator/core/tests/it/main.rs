//! The market as its users see it: scenarios, a seeded simulation with hostile parties and crashes, and the ledger
//! against a naive model.
#![expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

mod classes;
mod diagnosis;
mod durable_trust;
mod fixture;
mod golden;
mod hedging;
mod ledger_model;
mod prediction;
mod referee;
mod refusals;
mod restart;
mod sessions;
mod simulation;
mod tasks;
mod trust;
mod withdrawal;
