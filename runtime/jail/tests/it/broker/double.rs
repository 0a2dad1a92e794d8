//! A GPU worker that fails when it is told to: it stands between the supervisor and a real one, passes on what it does not
//! touch, and lives in a copy of the test program. It knows of the messages only which is which.

use std::io::{IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use rustix::event::{PollFd, PollFlags, poll};
use rustix::net::{
    AddressFamily, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer, SendAncillaryMessage,
    SendFlags, SocketFlags, SocketType, recvmsg, sendmsg, socketpair,
};

/// Folder of a double: what it is to do, and what it did.
pub(super) const FOLDER: &str = "P2C2R_TEST_BROKER";

/// First byte of the messages that a double looks at, as postcard numbers them: `Order::Prepare` and `Order::Attach`, and
/// `GpuCall::Read` and `GpuCall::Dispatch`.
const PREPARE: u8 = 3;
const ATTACH: u8 = 4;
const READ: u8 = 2;
const DISPATCH: u8 = 4;

/// What goes wrong, once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fault {
    /// The process is killed when it is asked to compile shaders.
    DiesCompiling,
    /// It never answers when it is asked to compile shaders.
    HangsCompiling,
    /// It is killed when it is asked for a session.
    DiesOpening,
    HangsOpening,
    GarblesOpening,
    /// It is killed while a dispatch runs.
    DiesRunning,
    /// A dispatch never returns, nor does its thread.
    HangsRunning,
    /// The answer to a read comes when nobody waits any more.
    AnswersLate,
    /// Bytes that are no message.
    Garbles,
    /// A message, and not the one that is due.
    SpeaksOutOfTurn,
    /// Longer than any message.
    SpeaksTooLong,
    /// It says that its device is gone.
    LosesDevice,
    /// It says that its device's memory is full.
    RunsOutOfMemory,
}

impl Fault {
    pub(super) const ALL: [Self; 13] = [
        Self::DiesCompiling,
        Self::HangsCompiling,
        Self::DiesOpening,
        Self::HangsOpening,
        Self::GarblesOpening,
        Self::DiesRunning,
        Self::HangsRunning,
        Self::AnswersLate,
        Self::Garbles,
        Self::SpeaksOutOfTurn,
        Self::SpeaksTooLong,
        Self::LosesDevice,
        Self::RunsOutOfMemory,
    ];

    /// What is said in place of an answer.
    fn words(self) -> Vec<u8> {
        match self {
            Self::Garbles | Self::GarblesOpening => vec![0xff; 40],
            // `GpuReply::Trace`, with a digest.
            Self::SpeaksOutOfTurn => [vec![1], vec![7; 32]].concat(),
            Self::SpeaksTooLong => vec![0; 130 << 10],
            // `GpuReply::Fault`, with `GpuTrouble::Lost("x")` and `GpuTrouble::OutOfMemory`.
            Self::LosesDevice => vec![3, 0, 1, b'x'],
            Self::RunsOutOfMemory => vec![3, 3],
            other => panic!("{other:?} says nothing"),
        }
    }
}

/// The folder of a double, as the test sees it.
pub(super) struct Stage(PathBuf);

impl Stage {
    /// A program that is a worker of any kind, GPU workers by way of a double.
    pub(super) fn set(folder: &Path) -> (Self, PathBuf) {
        let program = folder.join("worker");
        let quoted = |path: &Path| format!("'{}'", path.display());
        let script = format!(
            "#!/bin/sh\ncase \"$1\" in\n\
             gpu*) {FOLDER}={} exec {} --exact broker::be_a_double --test-threads 1 ;;\n\
             *) exec {} \"$@\" ;;\nesac\n",
            quoted(folder),
            quoted(&std::env::current_exe().unwrap()),
            quoted(Path::new(env!("CARGO_BIN_EXE_p2c2r-worker"))),
        );
        std::fs::write(&program, script).unwrap();
        let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
        std::fs::set_permissions(&program, mode).unwrap();
        (Self(folder.to_owned()), program)
    }

    pub(super) fn wish(&self, fault: Fault) {
        std::fs::write(self.0.join("wish"), format!("{fault:?}")).unwrap();
    }

    /// From now on workers say that they have another driver, named as `driver` but for a letter, until `None`.
    pub(super) fn change_driver(&self, driver: Option<&str>) {
        let file = self.0.join("driver");
        driver.map_or_else(|| std::fs::remove_file(&file), |driver| std::fs::write(&file, driver)).unwrap();
    }

    /// Whether the fault that was wished for has happened.
    pub(super) fn is_granted(&self) -> bool {
        !self.0.join("wish").exists()
    }

    /// How many doubles were started.
    pub(super) fn started(&self) -> usize {
        std::fs::read(self.0.join("started")).map_or(0, |marks| marks.len())
    }
}

/// The child, with its line to the supervisor as standard input.
struct Double {
    folder: PathBuf,
    supervisor: OwnedFd,
    worker: OwnedFd,
    process: Child,
    lines: Vec<Line>,
}

/// Of one attempt.
struct Line {
    guest: OwnedFd,
    worker: OwnedFd,
    /// Nothing goes from the worker to the guest any more.
    mute: Option<Fault>,
    closed: bool,
}

pub(super) fn play(folder: PathBuf) {
    use std::io::Write;
    let mut started = std::fs::OpenOptions::new().create(true).append(true).open(folder.join("started")).unwrap();
    started.write_all(b".").unwrap();
    let supervisor = std::io::stdin().as_fd().try_clone_to_owned().unwrap();
    let (worker, theirs) = pair();
    let mut command = Command::new(env!("CARGO_BIN_EXE_p2c2r-worker"));
    let process = command.arg("gpu").stdin(theirs).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    drop(command);
    Double { folder, supervisor, worker, process, lines: Vec::new() }.run();
}

impl Double {
    fn run(mut self) {
        loop {
            let mut polled =
                vec![PollFd::new(&self.supervisor, PollFlags::IN), PollFd::new(&self.worker, PollFlags::IN)];
            for line in &self.lines {
                polled.push(PollFd::new(&line.guest, PollFlags::IN));
                // What is mute is not listened to.
                let flags = if line.mute.is_some() { PollFlags::empty() } else { PollFlags::IN };
                polled.push(PollFd::new(&line.worker, flags));
            }
            poll(&mut polled, None).unwrap();
            let ready: Vec<bool> = polled.iter().map(|polled| !polled.revents().is_empty()).collect();
            drop(polled);
            if ready[1] {
                let Some((mut bytes, descriptors)) = receive(&self.worker) else { return };
                self.rename_driver(&mut bytes);
                send(&self.supervisor, &bytes, &descriptors);
            }
            for (at, line_ready) in ready[2..].chunks(2).enumerate() {
                if line_ready[0] {
                    self.hear_guest(at);
                }
                if line_ready[1] && self.lines[at].mute.is_none() {
                    self.hear_worker(at);
                }
            }
            self.lines.retain(|line| !line.closed);
            if ready[0] && !self.hear_supervisor() {
                let _ = self.process.kill();
                let _ = self.process.wait();
                return;
            }
        }
    }

    /// In what a worker says of itself.
    fn rename_driver(&self, said: &mut [u8]) {
        let Ok(driver) = std::fs::read(self.folder.join("driver")) else { return };
        if let Some(at) = said.windows(driver.len()).position(|part| part == driver) {
            said[at] ^= 1;
        }
    }

    /// False when it is gone.
    fn hear_supervisor(&mut self) -> bool {
        let Some((bytes, mut descriptors)) = receive(&self.supervisor) else { return false };
        match (bytes[0], self.granted(&[Fault::DiesCompiling, Fault::HangsCompiling], bytes[0] == PREPARE)) {
            (_, Some(Fault::DiesCompiling)) => self.die(),
            (_, Some(_)) => return true,
            (ATTACH, None) => {}
            (_, None) => {
                send(&self.worker, &bytes, &descriptors);
                return true;
            }
        }
        match self.granted(&[Fault::DiesOpening, Fault::HangsOpening, Fault::GarblesOpening], true) {
            Some(Fault::DiesOpening) => self.die(),
            Some(Fault::HangsOpening) => return true,
            Some(fault) => {
                send(&self.supervisor, &fault.words(), &[]);
                return true;
            }
            None => {}
        }
        let (worker, theirs) = pair();
        let guest = std::mem::replace(&mut descriptors[1], theirs);
        self.lines.push(Line { guest, worker, mute: None, closed: false });
        send(&self.worker, &bytes, &descriptors);
        true
    }

    fn hear_guest(&mut self, at: usize) {
        let Some((bytes, _)) = receive(&self.lines[at].guest) else {
            let line = &mut self.lines[at];
            // A worker that hangs does not notice that nobody waits.
            line.closed = line.mute != Some(Fault::HangsRunning);
            if line.mute == Some(Fault::HangsRunning) {
                line.guest = pair().0;
            }
            return;
        };
        if let Some(fault) = self.granted(&[Fault::DiesRunning, Fault::HangsRunning], bytes[0] == DISPATCH) {
            if fault == Fault::DiesRunning {
                send(&self.lines[at].worker, &bytes, &[]);
                self.die();
            }
            self.lines[at].mute = Some(fault);
            return;
        }
        let spoken =
            [Fault::Garbles, Fault::SpeaksOutOfTurn, Fault::SpeaksTooLong, Fault::LosesDevice, Fault::RunsOutOfMemory];
        if let Some(fault) = self.granted(&spoken, bytes[0] == READ) {
            send(&self.lines[at].guest, &fault.words(), &[]);
            return;
        }
        if let Some(fault) = self.granted(&[Fault::AnswersLate], bytes[0] == READ) {
            self.lines[at].mute = Some(fault);
        }
        send(&self.lines[at].worker, &bytes, &[]);
    }

    fn hear_worker(&mut self, at: usize) {
        let line = &mut self.lines[at];
        match receive(&line.worker) {
            Some((bytes, descriptors)) => send(&line.guest, &bytes, &descriptors),
            None => line.closed = true,
        }
    }

    /// The wish, if it is one of these and it is time.
    fn granted(&self, which: &[Fault], now: bool) -> Option<Fault> {
        let wish = self.folder.join("wish");
        let wanted = std::fs::read_to_string(&wish).ok().filter(|_| now)?;
        let fault = which.iter().copied().find(|fault| format!("{fault:?}") == wanted)?;
        std::fs::remove_file(wish).unwrap();
        Some(fault)
    }

    /// As by SIGKILL, which for a process with threads in a driver is the only way it dies.
    fn die(&mut self) -> ! {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
        rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::KILL).unwrap();
        unreachable!("killed");
    }
}

fn pair() -> (OwnedFd, OwnedFd) {
    socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None).unwrap()
}

fn receive(from: &OwnedFd) -> Option<(Vec<u8>, Vec<OwnedFd>)> {
    let mut bytes = vec![0; 256 << 10];
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(16))];
    let mut ancillary = RecvAncillaryBuffer::new(&mut space);
    let got = recvmsg(from, &mut [IoSliceMut::new(&mut bytes)], &mut ancillary, RecvFlags::CMSG_CLOEXEC).ok()?;
    let descriptors = ancillary
        .drain()
        .filter_map(|message| match message {
            RecvAncillaryMessage::ScmRights(descriptors) => Some(descriptors),
            _ => None,
        })
        .flatten()
        .collect();
    bytes.truncate(got.bytes);
    (got.bytes > 0).then_some((bytes, descriptors))
}

/// Whoever is gone does not hear it.
fn send(to: &OwnedFd, bytes: &[u8], descriptors: &[OwnedFd]) {
    let descriptors: Vec<_> = descriptors.iter().map(AsFd::as_fd).collect();
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(16))];
    let mut ancillary = SendAncillaryBuffer::new(&mut space);
    if !descriptors.is_empty() {
        assert!(ancillary.push(SendAncillaryMessage::ScmRights(&descriptors)));
    }
    let _ = sendmsg(to, &[IoSlice::new(bytes)], &mut ancillary, SendFlags::NOSIGNAL);
}
