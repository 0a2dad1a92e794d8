//! Ledger accounts and enums as the database spells them.

use p2c2r_core::record::{LedgerAccount, TransferKind};
use p2c2r_protocol::message::Standing;

const AVAILABLE: &str = "available:";
const HELD: &str = "held:";

pub(super) fn of_account(account: LedgerAccount) -> String {
    match account {
        LedgerAccount::External => "external".to_owned(),
        LedgerAccount::Platform => "platform".to_owned(),
        LedgerAccount::Available(id) => format!("{AVAILABLE}{id}"),
        LedgerAccount::Held(id) => format!("{HELD}{id}"),
    }
}

pub(super) fn to_account(name: &str) -> Option<LedgerAccount> {
    match name {
        "external" => Some(LedgerAccount::External),
        "platform" => Some(LedgerAccount::Platform),
        _ => {
            let available = name.strip_prefix(AVAILABLE).and_then(|id| id.parse().ok()).map(LedgerAccount::Available);
            available.or_else(|| name.strip_prefix(HELD)?.parse().ok().map(LedgerAccount::Held))
        }
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
