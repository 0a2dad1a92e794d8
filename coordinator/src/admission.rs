//! How many connections there may be, in all and from one address.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};

/// Counts connections.
#[derive(Debug)]
pub(crate) struct Admission {
    total: usize,
    per_address: usize,
    open: Mutex<HashMap<IpAddr, usize>>,
}

/// A place among the connections; given back when dropped.
#[derive(Debug)]
pub(crate) struct Place {
    admission: Arc<Admission>,
    address: IpAddr,
}

/// Which bound was reached.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Crowded {
    #[error("{limit} connections are open, that is the limit")]
    Total { limit: usize },
    #[error("{limit} connections from {address} are open, that is the limit")]
    Address { address: IpAddr, limit: usize },
}

impl Admission {
    pub(crate) fn new(total: usize, per_address: usize) -> Arc<Self> {
        Arc::new(Self { total, per_address, open: Mutex::default() })
    }

    pub(crate) fn enter(self: &Arc<Self>, address: IpAddr) -> Result<Place, Crowded> {
        let address = site(address);
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        // At 10,000 addresses the sum costs microseconds, less than the TLS handshake that follows.
        if open.values().sum::<usize>() >= self.total {
            return Err(Crowded::Total { limit: self.total });
        }
        let here = open.entry(address).or_default();
        if *here >= self.per_address {
            return Err(Crowded::Address { address, limit: self.per_address });
        }
        *here += 1;
        Ok(Place { admission: Arc::clone(self), address })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut open = self.admission.open.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(here) = open.get_mut(&self.address) {
            *here -= 1;
            if *here == 0 {
                open.remove(&self.address);
            }
        }
    }
}

/// What counts as one address: an IPv6 site usually has a whole /64.
fn site(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(v6) => {
            let [a, b, c, d, ..] = v6.segments();
            IpAddr::from([a, b, c, d, 0, 0, 0, 0])
        }
        v4 @ IpAddr::V4(_) => v4,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_bounds_hold_and_places_come_back() {
        let admission = Admission::new(3, 2);
        let (a, b): (IpAddr, IpAddr) = ("10.0.0.1".parse().expect("ip"), "::ffff:10.0.0.2".parse().expect("ip"));
        let first = admission.enter(a).expect("room");
        let _second = admission.enter(a).expect("room");
        assert_eq!(admission.enter(a).expect_err("full"), Crowded::Address { address: a, limit: 2 });
        let _third = admission.enter(b).expect("room");
        assert_eq!(admission.enter(b).expect_err("full").to_string(), "3 connections are open, that is the limit");
        drop(first);
        admission.enter(a).expect("room again");
        let v6 = |text: &str| site(text.parse().expect("ip"));
        assert_eq!(v6("2001:db8::1"), v6("2001:db8::ffff:2"));
        assert_ne!(v6("2001:db8::1"), v6("2001:db8:0:1::1"));
    }
}
