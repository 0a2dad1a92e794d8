//! A line between two processes: whole messages, each with the descriptors that go with it.

use std::io::{self, IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::net::{
    AddressFamily, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, ReturnFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, SocketFlags, SocketType, recvmsg, sendmsg, socketpair,
};
use serde::{Deserialize, Serialize};

use crate::limits::{DESCRIPTORS, MESSAGE_BYTES};

/// One end. Messages arrive whole and in order, or not at all.
#[derive(Debug)]
pub(crate) struct Channel {
    socket: OwnedFd,
    outgoing: Vec<u8>,
    /// Always as long as a message may be, so that receiving clears nothing.
    incoming: Box<[u8]>,
}

/// A message with its descriptors.
#[derive(Debug)]
pub(crate) struct Received<M> {
    pub(crate) message: M,
    pub(crate) descriptors: Vec<OwnedFd>,
}

/// Why nothing was received.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ReceiveError {
    /// The other process is gone.
    #[error("the other side is gone")]
    Closed,
    /// It said something that is no message, or too long.
    #[error("the other side sent no message: {0}")]
    Garbled(String),
    /// The system.
    #[error(transparent)]
    System(#[from] io::Error),
}

impl Channel {
    /// Two ends; neither is inherited by a new process unless handed over.
    pub(crate) fn pair() -> io::Result<(Self, OwnedFd)> {
        let (mine, theirs) = Self::line()?;
        Ok((Self::new(mine), theirs))
    }

    /// Two ends to be handed to others.
    pub(crate) fn line() -> io::Result<(OwnedFd, OwnedFd)> {
        Ok(socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None)?)
    }

    pub(crate) fn new(socket: OwnedFd) -> Self {
        Self { socket, outgoing: Vec::new(), incoming: vec![0; MESSAGE_BYTES].into() }
    }

    /// Sends, waiting for room if the other side has much to read.
    pub(crate) fn send(&mut self, message: &impl Serialize, descriptors: &[BorrowedFd<'_>]) -> io::Result<()> {
        self.outgoing.clear();
        self.outgoing = postcard::to_extend(message, std::mem::take(&mut self.outgoing)).map_err(io::Error::other)?;
        let bytes = self.outgoing.len();
        if bytes > MESSAGE_BYTES || descriptors.len() > DESCRIPTORS {
            return Err(io::Error::other(format!(
                "a message of {bytes} bytes and {} descriptors, at most {MESSAGE_BYTES} and {DESCRIPTORS} are sent",
                descriptors.len()
            )));
        }
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(DESCRIPTORS))];
        let mut ancillary = SendAncillaryBuffer::new(&mut space);
        if !descriptors.is_empty() && !ancillary.push(SendAncillaryMessage::ScmRights(descriptors)) {
            return Err(io::Error::other("too many descriptors"));
        }
        let sent =
            retry(|| sendmsg(&self.socket, &[IoSlice::new(&self.outgoing)], &mut ancillary, SendFlags::NOSIGNAL))?;
        if sent == bytes { Ok(()) } else { Err(io::Error::other("a message was cut")) }
    }

    /// Whether a message, or the end, is there before `timeout` passes.
    pub(crate) fn wait(&self, timeout: Duration) -> io::Result<bool> {
        let timeout = Timespec::try_from(timeout).map_err(io::Error::other)?;
        let mut polled = [PollFd::new(&self.socket, PollFlags::IN)];
        match poll(&mut polled, Some(&timeout)) {
            Ok(ready) => Ok(ready > 0),
            Err(rustix::io::Errno::INTR) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }

    /// The next message; waits for it. It may borrow what it carries.
    pub(crate) fn receive<'a, M: Deserialize<'a>>(&'a mut self) -> Result<Received<M>, ReceiveError> {
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(DESCRIPTORS))];
        let mut ancillary = RecvAncillaryBuffer::new(&mut space);
        let flags = RecvFlags::CMSG_CLOEXEC;
        let got = retry(|| recvmsg(&self.socket, &mut [IoSliceMut::new(&mut self.incoming)], &mut ancillary, flags))?;
        let descriptors = ancillary
            .drain()
            .filter_map(|message| match message {
                RecvAncillaryMessage::ScmRights(descriptors) => Some(descriptors),
                _ => None,
            })
            .flatten()
            .collect();
        if got.bytes == 0 {
            return Err(ReceiveError::Closed);
        }
        if got.flags.intersects(ReturnFlags::TRUNC | ReturnFlags::CTRUNC) {
            return Err(ReceiveError::Garbled("more than a message holds".to_owned()));
        }
        match postcard::take_from_bytes(&self.incoming[..got.bytes]) {
            Ok((message, [])) => Ok(Received { message, descriptors }),
            Ok((_, rest)) => Err(ReceiveError::Garbled(format!("{} bytes too many", rest.len()))),
            Err(error) => Err(ReceiveError::Garbled(error.to_string())),
        }
    }
}

/// Whether the other side of a line is gone; what it said before may still be there.
pub(crate) fn is_over(line: BorrowedFd<'_>) -> bool {
    // Nothing is asked for: that it hung up is told unasked. Interrupted: the next look tells.
    let mut polled = [PollFd::new(&line, PollFlags::empty())];
    poll(&mut polled, Some(&Timespec::default())).is_ok_and(|ready| ready > 0)
}

impl AsFd for Channel {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

fn retry<T>(mut call: impl FnMut() -> rustix::io::Result<T>) -> io::Result<T> {
    loop {
        match call() {
            Err(rustix::io::Errno::INTR) => {}
            result => return result.map_err(Into::into),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::io::Read;

    use super::*;

    #[test]
    fn messages_and_descriptors_arrive_whole() {
        let (mut one, other) = Channel::pair().unwrap();
        let mut other = Channel::new(other);
        let file = File::open("/dev/zero").unwrap();
        one.send(&("hello", vec![7u8; 100_000]), &[file.as_fd()]).unwrap();
        one.send(&("bye", Vec::<u8>::new()), &[]).unwrap();
        let Received { message, mut descriptors } = other.receive::<(String, Vec<u8>)>().unwrap();
        assert_eq!((message.0.as_str(), message.1.len()), ("hello", 100_000));
        let mut zeros = [1; 4];
        File::from(descriptors.remove(0)).read_exact(&mut zeros).unwrap();
        assert_eq!((zeros, descriptors.len()), ([0; 4], 0));
        assert_eq!(other.receive::<(String, Vec<u8>)>().unwrap().message.0, "bye");
        drop(one);
        assert!(matches!(other.receive::<u8>(), Err(ReceiveError::Closed)));
    }

    #[test]
    fn messages_are_bounded() {
        let (mut one, other) = Channel::pair().unwrap();
        let mut other = Channel::new(other);
        // Three bytes are its length.
        let largest = vec![7u8; MESSAGE_BYTES - 3];
        let file = File::open("/dev/zero").unwrap();
        let most = [file.as_fd(); DESCRIPTORS];
        one.send(&largest, &most).unwrap();
        let got = other.receive::<Vec<u8>>().unwrap();
        assert_eq!((got.message, got.descriptors.len()), (largest.clone(), DESCRIPTORS));
        let refused = one.send(&[&largest[..], &[7]].concat(), &[]).unwrap_err().to_string();
        assert!(refused.contains(&format!("{} bytes and 0 descriptors", MESSAGE_BYTES + 1)), "{refused}");
        let refused = one.send(&1u8, &[&most[..], &[file.as_fd()]].concat()).unwrap_err().to_string();
        assert!(refused.contains(&format!("1 bytes and {} descriptors", DESCRIPTORS + 1)), "{refused}");
        // Nothing of those went out, and a sender that does not keep to it is not believed.
        rustix::net::send(&one, &vec![0; MESSAGE_BYTES + 1], SendFlags::NOSIGNAL).unwrap();
        assert!(
            matches!(other.receive::<Vec<u8>>(), Err(ReceiveError::Garbled(what)) if what == "more than a message holds")
        );
    }

    #[test]
    fn what_is_no_message_is_said_so() {
        let (mut one, other) = Channel::pair().unwrap();
        let mut other = Channel::new(other);
        assert!(one.send(&vec![0u8; MESSAGE_BYTES], &[]).unwrap_err().to_string().contains("131"));
        one.send(&(1u8, 2u8), &[]).unwrap();
        let error = other.receive::<u8>().unwrap_err();
        assert!(matches!(&error, ReceiveError::Garbled(what) if what == "1 bytes too many"), "{error}");
        one.send(&255u8, &[]).unwrap();
        assert!(matches!(other.receive::<String>(), Err(ReceiveError::Garbled(_))));
        assert!(!other.wait(Duration::ZERO).unwrap());
    }

    #[test]
    fn a_line_is_over_when_its_other_end_is_closed_and_not_when_that_speaks() {
        let (mut one, other) = Channel::pair().unwrap();
        assert!(!is_over(other.as_fd()));
        one.send(&1u8, &[]).unwrap();
        assert!(!is_over(other.as_fd()));
        drop(one);
        assert!(is_over(other.as_fd()));
        assert_eq!(Channel::new(other).receive::<u8>().unwrap().message, 1);
    }
}
