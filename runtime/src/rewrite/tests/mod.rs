//! The rewritten module against the one that was signed, in every engine there is.

mod corpus;
mod cost;
mod floats;
mod kit;
mod oracle;
mod second;
mod shape;
