//! The demo network: everything `./run_network.sh` does besides building. Three programs share this library: `network`
//! starts the processes and audits the books, `demo-client` is a game's stand-in, `cheat-peer` is a peer that cheats.
//!
//! Reading order: [`workload`] (what the client asks for), [`figures`] (what is reported), [`network`] (keys,
//! coordinator and peers), [`attack`] (what cheating comes to), [`split`] (what cutting a frame brings), [`admin`] (the operator's side), [`audit`] (the books, computed a second time), [`processes`].

pub mod admin;
pub mod attack;
pub mod audit;
pub mod figures;
pub mod network;
pub mod processes;
pub mod split;
pub mod workload;
