//! The doorbell: wakes a sleeping shard after something was put into one of its lanes, and costs a load and a fence
//! when it is awake. The sleeper sets its flag, fences, and looks into its lanes once more before it sleeps; the
//! ringer publishes, fences, and rings only if the flag is set. Of the two fences one comes first, so that either the
//! ringer sees the flag or the sleeper sees the message (the model below tries every order). Only the owner writes the
//! flag; a sleeper that is slow to wake may be rung more than once, which is harmless.

use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::sync::atomic::{AtomicBool, Ordering, fence};

/// What makes the noise.
pub trait Bell {
    /// Wakes the sleeper, from any thread; never blocks, and one ring may stand for several.
    fn sound(&self);
}

/// The sleeper's flag: an atomic of the machine, or of the model.
pub trait Flag: Default {
    /// Writes it.
    fn set(&self, value: bool);
    /// Reads it.
    fn get(&self) -> bool;
    /// A sequentially consistent fence.
    fn fence();
}

/// A flag and a bell. Its owner writes it in every turn: it has its cache lines to itself, two of them, because processors
/// fetch them in pairs.
#[repr(align(128))]
pub struct Doorbell<B, F = AtomicBool> {
    asleep: F,
    bell: B,
}

impl<B: Bell, F: Flag> Doorbell<B, F> {
    /// An awake owner.
    pub fn new(bell: B) -> Self {
        Doorbell { asleep: F::default(), bell }
    }

    /// The owner is about to sleep: after this call it looks into its lanes once more, and sleeps only if they are empty.
    pub fn prepare_sleep(&self) {
        self.asleep.set(true);
        F::fence();
    }

    /// The owner is awake again.
    pub fn woken(&self) {
        self.asleep.set(false);
    }

    /// Somebody has published for the owner.
    pub fn ring(&self) {
        F::fence();
        if self.asleep.get() {
            self.bell.sound();
        }
    }

    /// What makes the noise; sounded directly it wakes whether or not the flag is set.
    pub fn bell(&self) -> &B {
        &self.bell
    }
}

impl Flag for AtomicBool {
    fn set(&self, value: bool) {
        self.store(value, Ordering::Relaxed);
    }
    fn get(&self) -> bool {
        self.load(Ordering::Relaxed)
    }
    fn fence() {
        fence(Ordering::SeqCst);
    }
}

/// The bell of a media shard: an event counter that its ring polls.
pub struct EventBell(File);

impl EventBell {
    /// A silent one.
    pub fn new() -> io::Result<EventBell> {
        // SAFETY: eventfd takes two integers and returns a descriptor of ours or -1.
        let fd = unsafe { libc::eventfd(0, libc::EFD_CLOEXEC | libc::EFD_NONBLOCK) };
        if fd < 0 {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: the descriptor was just made and nobody else owns it.
        Ok(EventBell(File::from(unsafe { OwnedFd::from_raw_fd(fd) })))
    }

    /// Sets the counter back to zero.
    pub fn reset(&self) {
        // It fails only when the counter is zero already.
        let _ = (&self.0).read(&mut [0; 8]);
    }
}

impl Bell for EventBell {
    fn sound(&self) {
        // It fails only when the counter is at its end, and then the bell has been rung.
        let _ = (&self.0).write(&1u64.to_ne_bytes());
    }
}

impl AsRawFd for EventBell {
    fn as_raw_fd(&self) -> RawFd {
        self.0.as_raw_fd()
    }
}

/// The bell of a signalling shard: a task awaits the other end.
pub struct ChannelBell(async_channel::Sender<()>);

impl ChannelBell {
    /// The bell, and what its owner awaits.
    pub fn new() -> (ChannelBell, async_channel::Receiver<()>) {
        let (sender, receiver) = async_channel::bounded(1);
        (ChannelBell(sender), receiver)
    }
}

impl Bell for ChannelBell {
    fn sound(&self) {
        // Full means that it has been rung and not been heard yet; closed, that nobody is there to hear.
        let _ = self.0.try_send(());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use loom::sync::atomic::{AtomicBool as ModelBool, AtomicUsize as ModelUsize};
    use loom::sync::{Arc, Notify};
    use std::sync::atomic::AtomicU32;

    #[derive(Default)]
    struct Modelled(ModelBool);

    impl Flag for Modelled {
        fn set(&self, value: bool) {
            self.0.store(value, Ordering::Relaxed);
        }
        fn get(&self) -> bool {
            self.0.load(Ordering::Relaxed)
        }
        fn fence() {
            loom::sync::atomic::fence(Ordering::SeqCst);
        }
    }

    struct Noise(Notify);

    impl Bell for Noise {
        fn sound(&self) {
            self.0.notify();
        }
    }

    /// A lane as the bell sees it: how many messages were published.
    struct Model {
        lane: ModelUsize,
        door: Doorbell<Noise, Modelled>,
    }

    #[test]
    fn no_message_is_left_in_a_lane_while_its_owner_sleeps() {
        const MESSAGES: usize = 2;
        loom::model(|| {
            let model = Arc::new(Model { lane: ModelUsize::new(0), door: Doorbell::new(Noise(Notify::new())) });
            let producer = model.clone();
            let thread = loom::thread::spawn(move || {
                for _ in 0..MESSAGES {
                    producer.lane.fetch_add(1, Ordering::Release);
                    producer.door.ring();
                }
            });
            let mut taken = 0;
            while taken < MESSAGES {
                model.door.prepare_sleep();
                let published = model.lane.load(Ordering::Acquire);
                if published == taken {
                    model.door.bell().0.wait(); // a lost wake-up would be a deadlock, which the model reports
                }
                model.door.woken();
                taken = model.lane.load(Ordering::Acquire);
            }
            thread.join().unwrap();
        });
    }

    #[derive(Default)]
    struct Count(AtomicU32);

    impl Bell for Count {
        fn sound(&self) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    #[test]
    fn only_a_sleeper_is_rung() {
        let door: Doorbell<Count> = Doorbell::new(Count::default());
        door.ring();
        assert_eq!(door.bell().0.load(Ordering::Relaxed), 0);
        door.prepare_sleep();
        door.ring();
        assert_eq!(door.bell().0.load(Ordering::Relaxed), 1);
        door.woken();
        door.ring();
        assert_eq!(door.bell().0.load(Ordering::Relaxed), 1);
    }
}
