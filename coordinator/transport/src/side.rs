//! Which end of which conversation: ties a role to its two message types, so that a peer cannot send a client's message.

use p2c2r_protocol::frame::Message;
use p2c2r_protocol::message::{ClientToServer, PeerToServer, Role, ServerToClient, ServerToPeer};

/// A role and the messages it exchanges with the coordinator.
pub trait Side {
    /// The role, as the handshake says it.
    const ROLE: Role;
    /// What it sends.
    type Up: Message + Send + 'static;
    /// What it receives.
    type Down: Message + Send + 'static;
}

/// A client.
#[derive(Debug, Clone, Copy)]
pub enum ClientSide {}

/// A peer.
#[derive(Debug, Clone, Copy)]
pub enum PeerSide {}

impl Side for ClientSide {
    const ROLE: Role = Role::Client;
    type Up = ClientToServer;
    type Down = ServerToClient;
}

impl Side for PeerSide {
    const ROLE: Role = Role::Peer;
    type Up = PeerToServer;
    type Down = ServerToPeer;
}
