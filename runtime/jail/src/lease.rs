//! How the supervisor knows that a worker is done with an attempt's session: one end of a line goes with the session and is closed
//! with it. What is not given back in time is taken, by killing the worker.

use std::io;
use std::os::fd::OwnedFd;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};

use crate::channel::Channel;
use crate::limits::SESSION_END;

/// The supervisor's end.
#[derive(Debug)]
pub(crate) struct Lease {
    line: OwnedFd,
    over: Arc<OnceLock<Instant>>,
}

/// Held while the attempt runs.
#[derive(Debug)]
pub(crate) struct Tenancy(Arc<OnceLock<Instant>>);

/// How a session stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Standing {
    /// Its attempt runs, or was over only just now.
    Running,
    /// The worker is done with it.
    Returned,
    /// The attempt has been over for long, and the worker still is not done.
    Overdue,
}

impl Lease {
    /// A lease, what to hold while the attempt runs, and the worker's end.
    pub(crate) fn sign() -> io::Result<(Self, Tenancy, OwnedFd)> {
        let (line, theirs) = Channel::line()?;
        let over = Arc::new(OnceLock::new());
        Ok((Self { line, over: Arc::clone(&over) }, Tenancy(over), theirs))
    }

    /// How it stands now. If the attempt is over, waits for the worker to be done, until `until` at most.
    pub(crate) fn standing(&self, until: Instant) -> Standing {
        loop {
            let due = self.over.get().map(|over| *over + SESSION_END);
            let now = Instant::now();
            let wait = due.map_or(Duration::ZERO, |due| due.min(until).saturating_duration_since(now));
            let mut polled = [PollFd::new(&self.line, PollFlags::IN)];
            let ready = Timespec::try_from(wait).map_or(Ok(0), |wait| poll(&mut polled, Some(&wait)));
            match ready {
                Err(rustix::io::Errno::INTR) => {}
                Ok(1..) if polled[0].revents().contains(PollFlags::HUP) => return Standing::Returned,
                // Nothing is ever said on it.
                Ok(1..) | Err(_) => return Standing::Overdue,
                Ok(0) if due.is_some_and(|due| Instant::now() >= due) => return Standing::Overdue,
                Ok(0) => return Standing::Running,
            }
        }
    }
}

impl Drop for Tenancy {
    fn drop(&mut self) {
        // Set once, here.
        let _ = self.0.set(Instant::now());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lease_runs_is_returned_or_is_overdue() {
        let (lease, tenancy, theirs) = Lease::sign().unwrap();
        let now = Instant::now();
        assert_eq!(lease.standing(now + SESSION_END * 10), Standing::Running, "while the attempt runs nobody waits");
        drop(tenancy);
        assert_eq!(lease.standing(now), Standing::Running, "whoever asks has no time");
        assert_eq!(lease.standing(now + SESSION_END * 10), Standing::Overdue);
        assert!(now.elapsed() >= SESSION_END);
        drop(theirs);
        assert_eq!(lease.standing(now), Standing::Returned);
    }

    #[test]
    fn whoever_speaks_on_it_is_out_of_order() {
        let (lease, _tenancy, theirs) = Lease::sign().unwrap();
        rustix::io::write(&theirs, b"x").unwrap();
        assert_eq!(lease.standing(Instant::now()), Standing::Overdue);
    }

    #[test]
    fn a_lease_that_is_returned_is_not_waited_for() {
        let (lease, tenancy, theirs) = Lease::sign().unwrap();
        drop((tenancy, theirs));
        assert_eq!(lease.standing(Instant::now() + SESSION_END), Standing::Returned);
    }
}
