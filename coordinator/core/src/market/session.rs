//! Clients and their sessions: hold, come back, close, expire.

use p2c2r_protocol::Credits;
use p2c2r_protocol::message::{Refusal, ServerToClient};
use p2c2r_signing::{AccountId, SessionId};

use super::commit::After;
use super::timer::Timer;
use super::{Conn, Market, Refused};
use crate::identity::session_id;
use crate::io::ConnId;
use crate::ledger::{LedgerError, Released};
use crate::record::{HoldRecord, Record, TransferKind};
use crate::session::{Session, SessionState};

impl Market {
    pub(super) fn client_connected(&mut self, conn: ConnId, account: AccountId) {
        if !self.has_room(conn) {
            return;
        }
        self.conns.insert(conn, Conn::Client { account, session: None });
        if self.draining {
            self.tell_client(conn, ServerToClient::Draining);
        }
    }

    /// Whether there is room for a connection; closes it if not.
    pub(super) fn has_room(&mut self, conn: ConnId) -> bool {
        let limit = self.config.limits.connections;
        if self.conns.len() >= limit {
            self.close(conn, Refusal::Unavailable, format!("{limit} connections are open, which is all there may be"));
            return false;
        }
        true
    }

    pub(super) fn open_session(&mut self, conn: ConnId, account: AccountId, number: u64, budget: Credits) {
        let result = match self.sessions.find(account, number) {
            Some(session) => self.attach(conn, session),
            None => self.hold(conn, account, number, budget),
        };
        if let Err((code, message)) = result {
            self.tell_client(conn, ServerToClient::SessionRefused { code, message });
        }
    }

    /// A client comes back to its session, or says again that it wants it.
    fn attach(&mut self, conn: ConnId, id: SessionId) -> Result<(), Refused> {
        self.check_single(conn, Some(id))?;
        let Some(session) = self.sessions.get_mut(id) else { return Ok(()) };
        if session.state == SessionState::Closing {
            let message = format!("session {} is closing; open another number", session.number);
            return Err((Refusal::Unavailable, message));
        }
        let before = session.conn.replace(conn);
        let (state, budget) = (session.state, session.budget);
        if let Some(at) = session.expires.take() {
            self.timers.remove(&(at, Timer::Session(id)));
        }
        let missed = session.outbox.take();
        if let Some(Conn::Client { session, .. }) = self.conns.get_mut(&conn) {
            *session = Some(id);
        }
        if let Some(before) = before.filter(|before| *before != conn) {
            if let Some(Conn::Client { session, .. }) = self.conns.get_mut(&before) {
                *session = None;
            }
            self.close(before, Refusal::Protocol, "its session was opened from another connection".to_owned());
        }
        if state == SessionState::Open {
            self.tell_client(conn, ServerToClient::SessionOpened { session: id, budget });
        }
        for (message, payload) in missed {
            self.tell_session(id, message, payload);
        }
        Ok(())
    }

    /// A connection has one session.
    fn check_single(&self, conn: ConnId, wanted: Option<SessionId>) -> Result<(), Refused> {
        match self.conns.get(&conn) {
            Some(Conn::Client { session: Some(open), .. }) if Some(*open) != wanted => {
                let number = self.sessions.get(*open).map_or(0, |s| s.number);
                Err((Refusal::Limit, format!("session {number} is open on this connection, which can have one")))
            }
            _ => Ok(()),
        }
    }

    fn hold(&mut self, conn: ConnId, account: AccountId, number: u64, budget: Credits) -> Result<(), Refused> {
        self.check_single(conn, None)?;
        if let Some(refused) = self.closed_for_new() {
            return Err(refused);
        }
        let (of_account, in_all) = (self.sessions.count_of(account), self.sessions.len());
        let limits = &self.config.limits;
        if of_account >= limits.sessions_per_account {
            let message =
                format!("the account has {of_account} open sessions, at most {}", limits.sessions_per_account);
            return Err((Refusal::Limit, message));
        }
        if in_all >= limits.sessions {
            return Err((Refusal::Unavailable, format!("{in_all} sessions are open, which is all there may be")));
        }
        let id = session_id(account, number, self.commits.next());
        let transfer = self.ledger.hold(id, account, budget, self.now).map_err(|error| match error {
            LedgerError::UnknownAccount { .. } => (Refusal::Forbidden, error.to_string()),
            LedgerError::Insufficient { balance, .. } => {
                (Refusal::Funds, format!("a budget of {budget} is more than the account's balance of {balance}"))
            }
            _ => (Refusal::Funds, error.to_string()),
        })?;
        let mut session = Session::new(id, account, number, budget);
        session.conn = Some(conn);
        self.sessions.insert(session);
        if let Some(Conn::Client { session, .. }) = self.conns.get_mut(&conn) {
            *session = Some(id);
        }
        let expires = self.now.plus(self.config.hold_grace_ms);
        let hold = HoldRecord { session: id, account, number, budget, expires, open: true };
        self.commit(vec![Record::Transfer(transfer), Record::Hold(hold)], After::SessionOpened(id));
        Ok(())
    }

    pub(super) fn session_opened(&mut self, id: SessionId) {
        let Some(session) = self.sessions.get_mut(id) else { return };
        let (conn, budget) = (session.conn, session.budget);
        if session.state == SessionState::Opening {
            session.state = SessionState::Open;
        }
        if let Some(conn) = conn {
            self.tell_client(conn, ServerToClient::SessionOpened { session: id, budget });
        }
        self.end_if_over(id);
    }

    pub(super) fn close_session(&mut self, conn: ConnId, session: Option<SessionId>) {
        let Some(session) = session.and_then(|id| self.sessions.get_mut(id)) else {
            let message = "no session is open on this connection".to_owned();
            self.tell_client(conn, ServerToClient::SessionRefused { code: Refusal::NoSession, message });
            return;
        };
        session.state = SessionState::Closing;
        let (id, tasks) = (session.id, session.tasks.values().copied().collect::<Vec<_>>());
        for task in tasks {
            if self.tasks.get(task).is_some_and(|t| t.is_queued()) {
                self.refuse_queued(task, Refusal::NoSession, "its session was closed");
            }
        }
        self.end_if_over(id);
    }

    /// The client is gone; its tasks finish, and its hold waits for it for a while.
    pub(super) fn detach(&mut self, id: SessionId) {
        let expires = self.now.plus(self.config.hold_grace_ms);
        if let Some(session) = self.sessions.get_mut(id) {
            session.conn = None;
            session.expires = Some(expires);
            self.timers.insert((expires, Timer::Session(id)));
        }
    }

    /// Ends a session that nobody needs any more: closed or expired, and every task settled.
    pub(super) fn end_if_over(&mut self, id: SessionId) {
        let Some(session) = self.sessions.get(id) else { return };
        let kind = match session.state {
            SessionState::Closing => TransferKind::Void,
            SessionState::Open if session.expires.is_some_and(|at| at <= self.now) => TransferKind::Expire,
            SessionState::Open | SessionState::Opening => return,
        };
        if !session.tasks.is_empty() {
            return;
        }
        // Results from before a restart may still come, or the store cannot take more now.
        if self.now < session.recovering_until {
            self.timers.insert((session.recovering_until, Timer::Session(id)));
            return;
        }
        if self.commits.in_flight() >= self.config.limits.commits_in_flight {
            self.timers.insert((self.now.plus(self.config.settle_every_ms.max(1)), Timer::Session(id)));
            return;
        }
        self.release(id, kind);
    }

    fn release(&mut self, id: SessionId, kind: TransferKind) {
        let rest = self.ledger.held(id);
        let transfer = match self.ledger.release(id, kind, self.now) {
            Ok(Released::Rest(transfer)) => Some(transfer),
            Ok(Released::Spent | Released::NotOpen) => None,
            Err(error) => {
                debug_assert!(false, "release of an open hold: {error}");
                None
            }
        };
        let Some(session) = self.sessions.remove(id) else { return };
        debug_assert_eq!(session.reserved, Credits::ZERO, "no task, no reserve");
        if let Some(at) = session.expires {
            self.timers.remove(&(at, Timer::Session(id)));
        }
        if let Some(Conn::Client { session, .. }) = session.conn.and_then(|conn| self.conns.get_mut(&conn)) {
            *session = None;
        }
        let Session { account, number, budget, conn, .. } = session;
        let hold = HoldRecord { session: id, account, number, budget, expires: self.now, open: false };
        let spent = budget.checked_sub(rest).unwrap_or(Credits::ZERO);
        let records = transfer.map(Record::Transfer).into_iter().chain([Record::Hold(hold)]).collect();
        self.commit(records, After::SessionClosed { conn, spent });
    }

    pub(super) fn session_closed(&mut self, conn: Option<ConnId>, spent: Credits) {
        if let Some(conn) = conn.filter(|conn| self.conns.contains_key(conn)) {
            self.tell_client(conn, ServerToClient::SessionClosed { spent });
        }
    }
}
