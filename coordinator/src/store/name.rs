//! Ledger accounts and enums as the database spells them.

use p2c2r_core::record::{Cause, LedgerAccount, TransferKind};
use p2c2r_protocol::message::Standing;

const AVAILABLE: &str = "available:";
const HELD: &str = "held:";
const WITHHELD: &str = "withheld:";

pub(super) fn of_account(account: LedgerAccount) -> String {
    match account {
        LedgerAccount::External => "external".to_owned(),
        LedgerAccount::Platform => "platform".to_owned(),
        LedgerAccount::Available(id) => format!("{AVAILABLE}{id}"),
        LedgerAccount::Held(id) => format!("{HELD}{id}"),
        LedgerAccount::Withheld(id) => format!("{WITHHELD}{id}"),
    }
}

pub(super) fn to_account(name: &str) -> Option<LedgerAccount> {
    match name {
        "external" => Some(LedgerAccount::External),
        "platform" => Some(LedgerAccount::Platform),
        _ => {
            let available = || name.strip_prefix(AVAILABLE)?.parse().ok().map(LedgerAccount::Available);
            let held = || name.strip_prefix(HELD)?.parse().ok().map(LedgerAccount::Held);
            let withheld = || name.strip_prefix(WITHHELD)?.parse().ok().map(LedgerAccount::Withheld);
            available().or_else(held).or_else(withheld)
        }
    }
}

/// A cause as its number, and how many owners of how many.
pub(super) const fn of_cause(cause: Cause) -> (u8, u32, u32) {
    match cause {
        Cause::Referee => (1, 0, 0),
        Cause::Owners { dissenting, of } => (2, dissenting, of),
    }
}

pub(super) const fn to_cause(number: u8, dissenting: u32, of: u32) -> Option<Cause> {
    match number {
        1 => Some(Cause::Referee),
        2 => Some(Cause::Owners { dissenting, of }),
        _ => None,
    }
}

pub(super) const fn of_kind(kind: TransferKind) -> u8 {
    match kind {
        TransferKind::Deposit => 1,
        TransferKind::Hold => 2,
        TransferKind::PostPeer => 3,
        TransferKind::PostPlatform => 4,
        TransferKind::Void => 5,
        TransferKind::Expire => 6,
        TransferKind::Release => 7,
        TransferKind::Forfeit => 8,
        TransferKind::Refund => 9,
        TransferKind::Restore => 10,
    }
}

pub(super) const fn to_kind(number: u8) -> Option<TransferKind> {
    Some(match number {
        1 => TransferKind::Deposit,
        2 => TransferKind::Hold,
        3 => TransferKind::PostPeer,
        4 => TransferKind::PostPlatform,
        5 => TransferKind::Void,
        6 => TransferKind::Expire,
        7 => TransferKind::Release,
        8 => TransferKind::Forfeit,
        9 => TransferKind::Refund,
        10 => TransferKind::Restore,
        _ => return None,
    })
}

/// As in [`p2c2r_core::record::SettledExecution::leaf`].
pub(super) const fn to_standing(number: u8) -> Option<Standing> {
    Some(match number {
        0 => Standing::Agreed,
        1 => Standing::Outvoted,
        2 => Standing::Void,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use p2c2r_signing::{AccountId, SessionId};

    use super::*;

    #[test]
    fn names_lead_back() {
        for account in [
            LedgerAccount::External,
            LedgerAccount::Platform,
            LedgerAccount::Available(AccountId::from_bytes([7; 16])),
            LedgerAccount::Held(SessionId::from_bytes([8; 16])),
            LedgerAccount::Withheld(AccountId::from_bytes([9; 16])),
        ] {
            assert_eq!(to_account(&of_account(account)), Some(account));
        }
        assert_eq!(to_account("held:"), None);
        assert_eq!(to_account("available:zz"), None);
        for number in 0..=u8::MAX {
            assert!(to_kind(number).is_none_or(|kind| of_kind(kind) == number));
        }
    }
}
