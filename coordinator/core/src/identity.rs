//! Identities the market derives. Fixed layouts, little-endian, one blake3 domain each; golden bytes below pin them.

use p2c2r_signing::{AccountId, SessionId, TaskId};

use crate::io::CommitId;

const SESSION_DOMAIN: &str = "P2C2R 2026-11-22 session id v1";
const TASK_DOMAIN: &str = "P2C2R 2026-11-22 task id v1";

/// A session: whose, under which of the client's numbers, opened by which commit. The commit makes a number that is
/// used again after its session closed a new session, so that no ticket of the old one fits the new.
#[must_use]
pub fn session_id(account: AccountId, number: u64, opened_by: CommitId) -> SessionId {
    let mut h = blake3::Hasher::new_derive_key(SESSION_DOMAIN);
    h.update(account.as_bytes());
    h.update(&number.to_le_bytes());
    h.update(&opened_by.0.to_le_bytes());
    SessionId::from_bytes(first_16(&h))
}

/// A task: its session and the client's own number, so a resend is the same task.
#[must_use]
pub fn task_id(session: SessionId, number: u64) -> TaskId {
    let mut h = blake3::Hasher::new_derive_key(TASK_DOMAIN);
    h.update(session.as_bytes());
    h.update(&number.to_le_bytes());
    TaskId::from_bytes(first_16(&h))
}

pub(crate) fn first_16(h: &blake3::Hasher) -> [u8; 16] {
    let mut out = [0; 16];
    h.finalize_xof().fill(&mut out);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn golden_bytes() {
        let session = session_id(AccountId::from_bytes([1; 16]), 2, CommitId(3));
        assert_eq!(session.to_string(), "5d8572221df9462a2c618c5c1fbff611");
        assert_eq!(task_id(session, 4).to_string(), "a11790acee423a34223fa5db796702ba");
    }

    #[test]
    fn a_number_used_again_is_another_session() {
        let account = AccountId::from_bytes([1; 16]);
        assert_ne!(session_id(account, 2, CommitId(3)), session_id(account, 2, CommitId(4)));
    }
}
