//! Tickets come back as they went out or not at all.

use p2c2r_signing::{
    AttemptNonce, ClassId, InputDigest, ModuleId, SecretKey, SessionId, TICKET_BYTES, TaskId, Ticket, TicketError,
    TicketKey,
};
use proptest::prelude::*;

pub(crate) fn ticket() -> Ticket {
    Ticket {
        session: SessionId::from_bytes([1; 16]),
        task: TaskId::from_bytes([2; 16]),
        peer: SecretKey::from_seed(&[3; 32]).public(),
        nonce: AttemptNonce::from_bytes([4; 16]),
        module: ModuleId::from_bytes([5; 32]),
        class: ClassId::from_bytes([6; 32]),
        input: InputDigest::from_bytes([7; 32]),
        replicas: 2,
        checks: 1,
        number: 8,
        rate: 9,
        max_units: 10,
        issued_ms: 11,
    }
}

fn key() -> TicketKey {
    TicketKey::from_bytes(&[12; 32])
}

#[test]
fn every_change_is_refused() {
    let sealed = ticket().seal(&key());
    assert_eq!(sealed.len(), TICKET_BYTES);
    for bit in 0..sealed.len() * 8 {
        let mut bad = sealed.clone();
        bad[bit / 8] ^= 1 << (bit % 8);
        assert!(matches!(Ticket::open(&bad, &key()), Err(TicketError::Mac)), "bit {bit}");
    }
    for len in (0..sealed.len()).chain([sealed.len() + 1]) {
        let mut bad = sealed.clone();
        bad.resize(len, 0);
        assert!(matches!(Ticket::open(&bad, &key()), Err(TicketError::Length { got }) if got == len));
    }
    let other = TicketKey::from_bytes(&[13; 32]);
    assert!(matches!(Ticket::open(&sealed, &other), Err(TicketError::Mac)));
}

/// Where the session is, and where plan and number are.
const HIDDEN: [std::ops::Range<usize>; 2] = [1..17, 177..186];

#[test]
fn a_peer_reads_nothing_of_who_asks_and_how_often() {
    let hidden = |ticket: Ticket| {
        let sealed = ticket.seal(&key());
        HIDDEN.map(|range| sealed[range].to_vec()).concat()
    };
    // The same looks different in every attempt: any byte may be any.
    for (replicas, checks) in [(1, 0), (1, 1), (2, 0)] {
        let seen: Vec<_> = (0..=255)
            .map(|n| hidden(Ticket { replicas, checks, nonce: AttemptNonce::from_bytes([n; 16]), ..ticket() }))
            .collect();
        for at in 0..25 {
            let values: std::collections::BTreeSet<u8> = seen.iter().map(|bytes| bytes[at]).collect();
            assert!(values.len() > 130, "{} of 256 values at {at}", values.len());
        }
    }
    // But for these and the MAC, two tickets that differ in them alone are the same bytes.
    let other = Ticket { checks: 0, session: SessionId::from_bytes([9; 16]), number: 99, ..ticket() };
    let known = |ticket: Ticket| {
        let mut sealed = ticket.seal(&key());
        HIDDEN.into_iter().for_each(|range| sealed[range].fill(0));
        sealed[..TICKET_BYTES - 32].to_vec()
    };
    assert_eq!(known(other), known(ticket()));
    assert_ne!(hidden(other), hidden(ticket()));
}

proptest! {
    #[test]
    fn open_undoes_seal(
        ids: ([u8; 16], [u8; 16], [u8; 32], [u8; 16]),
        digests: ([u8; 32], [u8; 32], [u8; 32]),
        numbers: (u8, u64, u64, u64, u64),
        secret: [u8; 32],
    ) {
        let ticket = Ticket {
            session: SessionId::from_bytes(ids.0),
            task: TaskId::from_bytes(ids.1),
            peer: SecretKey::from_seed(&ids.2).public(),
            nonce: AttemptNonce::from_bytes(ids.3),
            module: ModuleId::from_bytes(digests.0),
            class: ClassId::from_bytes(digests.1),
            input: InputDigest::from_bytes(digests.2),
            replicas: numbers.0 & 15,
            checks: numbers.0 >> 4,
            number: numbers.1,
            rate: numbers.2,
            max_units: numbers.3,
            issued_ms: numbers.4,
        };
        let key = TicketKey::from_bytes(&secret);
        prop_assert_eq!(Ticket::open(&ticket.seal(&key), &key).unwrap(), ticket);
    }

    #[test]
    fn random_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        prop_assert!(Ticket::open(&bytes, &key()).is_err());
    }

    #[test]
    fn random_tickets_are_refused(bytes in proptest::collection::vec(any::<u8>(), TICKET_BYTES)) {
        prop_assert!(matches!(Ticket::open(&bytes, &key()), Err(TicketError::Mac)));
    }
}
