//! A media shard's io_uring behind a narrow door: typed names for what is in flight, one way to sleep, and one way to
//! send a batch and learn which of it failed. It knows no addresses and no bytes.

mod buffers;
mod probe;

pub use buffers::{Block, BufferRing};
pub use probe::{RingError, require};

use io_uring::{EnterFlags, IoUring, cqueue, squeue, types};
use std::collections::VecDeque;
use std::io;
use std::os::fd::RawFd;
use std::time::Duration;

/// Entries of the submission queue: a full send arena, and receives that are armed anew. What does not fit makes room first.
const SUBMISSIONS: u32 = 2048;
const _: () = assert!(SUBMISSIONS as usize > portunus::limits::SEND_MESSAGES_MAX);
/// How often a submission is tried again when the kernel is out of memory for it.
const SUBMIT_RETRIES: usize = 1000;

/// Completions that end a wait for more of them: by then messages are as full as they get.
const GATHERED: usize = 64;

/// What a submission is called until it completes: its `user_data`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Token {
    /// The multishot receive of a socket, by its index.
    Receive(u16),
    /// The poll of the doorbell.
    Doorbell,
    /// One message of a flush, by its slot.
    Send {
        /// Which flush: an error read too late names no message of this one.
        flush: u32,
        slot: u16,
    },
}

/// What the kernel says of a submission.
#[derive(Clone, Copy, Debug)]
pub struct Completion {
    pub token: Token,
    /// A count, or the error.
    pub result: Result<u32, i32>,
    /// The receive buffer that it used.
    pub buffer: Option<u16>,
    /// Whether the submission lives on.
    pub more: bool,
}

/// The ring of one thread.
pub struct Ring {
    uring: IoUring,
    /// Completions met while looking for those of a flush. Bounded as the completion queue is.
    kept: VecDeque<Completion>,
}

impl Ring {
    /// Makes one for this thread, with room for `completions` that nobody has read yet and for every send to fail.
    pub fn new(completions: u32) -> Result<Ring, RingError> {
        let uring = IoUring::builder()
            .setup_single_issuer()
            .setup_defer_taskrun()
            .setup_submit_all()
            .setup_cqsize((completions + SUBMISSIONS).next_power_of_two())
            .build(SUBMISSIONS)
            .map_err(RingError::Setup)?;
        let kept = VecDeque::with_capacity(uring.params().cq_entries() as usize);
        Ok(Ring { uring, kept })
    }

    /// Registers the descriptors that submissions name by index.
    pub fn register_files(&self, files: &[RawFd]) -> io::Result<()> {
        self.uring.submitter().register_files(files)
    }

    /// Registers a buffer ring as the group that receives name.
    pub fn register_buffers(&self, buffers: &BufferRing) -> io::Result<()> {
        let (address, entries, group) = buffers.registration();
        // SAFETY: the address is that of `entries` entries that live as long as `buffers`, whose owner drops it after
        // this ring; our drop cancels what still receives.
        unsafe { self.uring.submitter().register_buf_ring_with_flags(address, entries, group, 0) }
    }

    /// Queues a submission under its token.
    ///
    /// # Safety
    ///
    /// All that the entry points to stays valid until it has been submitted and, for what the kernel reads or writes
    /// later, until its last completion.
    pub unsafe fn push(&mut self, entry: squeue::Entry, token: Token) -> io::Result<()> {
        let entry = entry.user_data(token.encode());
        if self.uring.submission().is_full() {
            self.submit()?;
        }
        // SAFETY: the caller's promise.
        unsafe { self.uring.submission().push(&entry) }.expect("submitting has made room");
        Ok(())
    }

    /// Hands everything queued to the kernel.
    pub fn submit(&mut self) -> io::Result<()> {
        let mut retries = 0;
        while !self.uring.submission().is_empty() {
            match self.uring.submit() {
                Ok(_) => {}
                Err(error) if error.raw_os_error() == Some(libc::EINTR) => {}
                // The kernel lacks memory for a request, or wants its completions read first.
                Err(error) if is_pressure(&error) && retries < SUBMIT_RETRIES => {
                    retries += 1;
                    self.keep_all();
                    std::thread::yield_now();
                }
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Whether `least` of [`wait`](Self::wait) is heeded (Linux 6.12).
    pub fn can_gather(&self) -> bool {
        self.uring.params().is_feature_min_timeout()
    }

    /// Submits what is queued and sleeps until something has completed or `timeout` has passed; none means no limit. It
    /// sleeps for `least` though less than [`GATHERED`] things complete meanwhile. With completions unread, or a zero
    /// timeout, it only lets the kernel do its work.
    pub fn wait(&mut self, least: Duration, timeout: Option<Duration>) -> io::Result<()> {
        let idle = self.kept.is_empty() && self.uring.completion().is_empty();
        let least = timeout.map_or(least, |timeout| least.min(timeout));
        let wanted = if least.is_zero() { 1 } else { GATHERED };
        let args = types::SubmitArgs::new().min_wait_usec(u32::try_from(least.as_micros()).unwrap_or(u32::MAX));
        let entered = match timeout {
            None if idle && least.is_zero() => self.uring.submit_and_wait(1),
            None if idle => self.uring.submitter().submit_with_args(wanted, &args),
            Some(timeout) if idle && !timeout.is_zero() => {
                let timespec = types::Timespec::from(timeout);
                self.uring.submitter().submit_with_args(wanted, &args.timespec(&timespec))
            }
            _ => {
                let queued = u32::try_from(self.uring.submission().len()).unwrap_or(u32::MAX);
                let flags = EnterFlags::GETEVENTS.bits();
                // SAFETY: no argument is passed, and each queued entry was pushed under the promise of `push`.
                unsafe { self.uring.submitter().enter::<libc::sigset_t>(queued, 0, flags, None) }
            }
        };
        match entered {
            Ok(_) => Ok(()),
            Err(error) if matches!(error.raw_os_error(), Some(libc::ETIME | libc::EINTR)) => Ok(()),
            Err(error) if is_pressure(&error) => self.submit(),
            Err(error) => Err(error),
        }
    }

    /// Moves at most `max` completions into `batch`, the oldest first.
    pub fn reap(&mut self, batch: &mut Vec<Completion>, max: usize) {
        let kept = self.kept.len().min(max);
        batch.extend(self.kept.drain(..kept));
        batch.extend(self.uring.completion().map(|entry| Completion::read(&entry)).take(max - kept));
    }

    /// Reads the errors of one flush, all of which are there when its submission has returned; other completions stay
    /// for the next [`reap`](Self::reap).
    pub fn failures(&mut self, flush: u32, mut failed: impl FnMut(u16, i32)) {
        for entry in self.uring.completion() {
            let completion = Completion::read(&entry);
            match (completion.token, completion.result) {
                (Token::Send { flush: of, slot }, Err(errno)) if of == flush => failed(slot, errno),
                (Token::Send { .. }, _) => {}
                _ => self.kept.push_back(completion),
            }
        }
    }

    fn keep_all(&mut self) {
        self.kept.extend(self.uring.completion().map(|entry| Completion::read(&entry)));
    }
}

impl Drop for Ring {
    /// Ends what still receives, so that the kernel writes no more into buffers that are freed after this.
    fn drop(&mut self) {
        let _ = self.uring.submitter().register_sync_cancel(None, types::CancelBuilder::any());
    }
}

fn is_pressure(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(libc::EAGAIN | libc::EBUSY | libc::ENOMEM))
}

impl Completion {
    fn read(entry: &cqueue::Entry) -> Completion {
        Completion {
            token: Token::decode(entry.user_data()),
            result: u32::try_from(entry.result()).map_err(|_| -entry.result()),
            buffer: cqueue::buffer_select(entry.flags()),
            more: cqueue::more(entry.flags()),
        }
    }
}

const RECEIVE: u8 = 1;
const DOORBELL: u8 = 2;
const SEND: u8 = 3;

impl Token {
    fn encode(self) -> u64 {
        let (kind, flush, slot) = match self {
            Token::Receive(socket) => (RECEIVE, 0, socket),
            Token::Doorbell => (DOORBELL, 0, 0),
            Token::Send { flush, slot } => (SEND, flush, slot),
        };
        u64::from(kind) << 56 | u64::from(flush) << 16 | u64::from(slot)
    }

    fn decode(bits: u64) -> Token {
        let [kind, _, flush @ .., slot_high, slot_low] = bits.to_be_bytes();
        let slot = u16::from_be_bytes([slot_high, slot_low]);
        match kind {
            RECEIVE => Token::Receive(slot),
            DOORBELL => Token::Doorbell,
            SEND => Token::Send { flush: u32::from_be_bytes(flush), slot },
            _ => unreachable!("a completion that nobody submitted: {bits:#x}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_survives_its_journey() {
        for token in [
            Token::Receive(u16::MAX),
            Token::Doorbell,
            Token::Send { flush: u32::MAX, slot: 0 },
            Token::Send { flush: 7, slot: 1023 },
        ] {
            assert_eq!(Token::decode(token.encode()), token);
        }
    }
}
